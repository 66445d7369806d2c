// Package lambda implements AWS Lambda: functions, versions, aliases, layers, and their invocation.
//
// A function has one version that changes, $LATEST, and published ones that do not. A version is code and a configuration
// in a state. An alias names a version, or two with a weight. A layer has numbered versions; functions that use one keep it
// when it is deleted. Numbers are never used twice.
//
// A version is stored, with its code, before the op that made it answers; then it is Pending, or its update is InProgress,
// until its code is unpacked and its runtime found, which takes milliseconds and is taken up again after a crash. Whatever a
// client can see of a version changes together with its RevisionId. While an update is under way, and after one has failed,
// invocations use what was there before.
//
// A deployment package is a blob of the store. The rows that need it are counted with them, in the same transaction, and the
// last one to go takes it along. Unpacked, it is a directory of a cache, by content, which versions and layers share: it stays
// for twenty minutes after the last row that needed it is gone, which is longer than any invocation, so that a sandbox that was
// retired while it ran keeps its code. Several layers are merged into one directory of hard links.
//
// Environment variables and deployment packages are encrypted on the disk, variables bound to their function. Unpacked code is
// not, because sandboxes read it: only this process and root get at its directory.
//
// A function, each of its versions and aliases, and each layer version may have a resource policy, which goes with it.
//
// What an invocation needs to know, its policy included, is in memory after the first one, and is forgotten right after a commit that changes it.
//
// An invocation takes a place while it runs: one that is provisioned for its version, one that is reserved for its function, or
// one of those that the account has left. One that finds none, or comes too fast, is throttled and never kept waiting. Provisioned
// concurrency is a row of a version or an alias; the worker is told, in the background and again after every start, how many
// sandboxes of which version that makes.
//
// With SnapStart a published version is Pending until its Init phase has run and its sandbox is stored, which its cold starts are restored
// from. The snapshot is a directory of the data directory, with the function's memory in clear as it was then, secrets and all: only this
// process and root get at it. It goes with its version. One that is not whole when the server starts is made again.
//
// A function of PackageType Image has the image's digest, found in the name of whoever gives it the image. Until the image is pulled, as
// Lambda and in the background, the version is Pending; others do not wait for it. From then on it needs the registry only if
// the image's layers are lost from the disk. An image is named by the versions that have it, and goes when none has for a while.
//
// # Not like AWS
//
// An image may come from what the operator allows, not only from ECR, and errors about it say why. EntryPoint, Command and WorkingDirectory
// of an ImageConfig each take the place of the image's own, the others stay. An image whose root, /etc or /tmp not everybody may enter is
// InvalidImage. How an image fails to start is told by its invocation, not by its state.
//
// These are refused with InvalidParameterValueException, never accepted and ignored:
// code in S3 (as AWS answers when there is no such bucket), VpcConfig with subnets or security groups, FileSystemConfigs,
// CodeSigningConfigArn, SourceKMSKeyArn, TenancyConfig, DurableConfig,
// CapacityProviderConfig, PublishTo, and any architecture but the host's, which is also the default. These are accepted,
// stored and shown, and not acted on yet: TracingConfig.
//
// An event is durable before Invoke answers 202. Events of one function do not wait for those of another. An event that is stopped
// in a loop is accepted and fails at once, with the condition RetriesExhausted in the record of its failure destination and the
// ErrorCode 400 in its dead letter. One whose record or dead letter comes back to a function that was stopped is refused.
//
// An event whose function, version or alias is deleted while it waits fails when its turn comes, with the condition ResourceNotFound and
// the ErrorCode 404. It has carried with it who was to be told, and the role, since it was accepted: what the role may do is decided when
// it is sent. An event that nobody is told of and that was deleted under, or never ran, leaves a line in the server's log, with its request id.
//
// An event that grows too old between two tries, or whose function is deleted then, is told with what its last run answered: of an answer of more
// than 256 KiB, errorType and the first 1,024 bytes of errorMessage. It is kept with the event, sealed as that is.
//
// A destination and a dead-letter queue get 1 MiB with attributes (SQS, Lambda) or 256 KiB (SNS). Where that is exceeded, the
// record of a failure has of the function's answer only errorType and the first 1,024 bytes of errorMessage, and if that does not
// help neither the answer nor requestPayload as far as needed; a dead letter has a shorter ErrorMessage, or lacks attributes. The record of a success,
// and an event that is too large for a topic, are not sent: enfold_lambda_destination_delivery_failures_total and
// enfold_lambda_dead_letter_errors_total count them, with whatever else could not be delivered, and the log has a warning.
//
// An event source mapping polls with one poller while its queue is empty, where AWS has five, and has five at once when there is
// work. A batch of more than one message is not gathered for longer than its window says. While a batch that was throttled
// waits to be tried again, it polls nothing, where AWS polls less.
//
// Environment variables that exceed 4 KB are measured with their keys sorted. A KMS key encrypts a data key for them: the AWS
// managed key of Lambda, or that of KMSKeyArn, which the client must let Lambda use (kms:CreateGrant; the grant stays when the
// function goes, for whoever made it to revoke). To decrypt with the latter Lambda acts as the client that asks, or as the
// execution role: it needs kms:Decrypt. It is asked for the variables when a function
// is first invoked after a change or a start of the server, not with every sandbox.
//
// A policy's roles and users are kept by ARN, and shown by it when they are gone. They must be there when a statement is added, unless
// they are of an account that this server does not have; who is made anew under the name has nothing of what the old one had, and what
// names somebody who is gone does not keep other statements from being added. A function's policy is for its unqualified ARN only, as
// what AddPermission answers says.
//
// A function of a runtime that this host does not have is created, and goes to Failed with a StateReason that says what to
// install; it is tried again when the server starts and when it is updated, where AWS wants it deleted. An invocation of a
// failed function says why.
//
// An invocation of a Pending function waits up to five seconds for it to become Active, where AWS answers 409 at once, so that
// create-function followed by invoke works without a waiter.
//
// A runtime has one version, the host's; RuntimeVersionArn stands for it. Files of a package are made readable for everybody
// and get no set-user-ID bits. Packages with more than 100,000 entries, with names longer than 1,024 bytes,
// with more than 64 directories in a row, or with links that lead out of the package or are absolute, do not unpack.
//
// SnapStart needs sandboxes that can be stored, those of gVisor; where there are none it is refused. Its memory in the snapshot is not
// sealed. A snapshot that cannot be restored, because the host's interpreter was updated for instance, is no reason not to run: the
// function has ordinary cold starts then, with the hooks before and after the snapshot one after the other. It has no network
// connections that survive: clients of the AWS API connect anew.
//
// Provisioned concurrency counts as available when it is allocated. An invocation that comes while it is being allocated has its
// place already, and may have to wait for a cold start. Allocation that failed is tried again, after a while that doubles up to five
// minutes, and goes from FAILED to READY if that helps. An alias of two versions shares its provisioned concurrency between them by
// weight, at least one each. Two aliases of one version may have some each.
//
// The limit of the account, and of the rate at which its synchronous invocations begin (ten a second for each that may run at
// once), are AWS's defaults, unless --account-concurrency says otherwise, for every account. Those of event source mappings are not counted for the rate. A function that grows faster than
// --function-scaling-rate says is throttled as if the account's limit were reached. There is no limit of the rate of other ops.
//
// What of a function's log is kept has bounds, which a function that does not flood never meets: 32 MiB at once and 2 MiB a second, and
// less on a disk that has little left for logs: a sixteenth of that at once, and as much a second as would fill it in an hour; of all functions
// of an account four times as much. START, END, REPORT and the like do not count and stay. The log says every five seconds how much was
// dropped; enfold_lambda_log_events_dropped_total, enfold_lambda_log_bytes_dropped_total and logsLost of /_enfold/health tell the operator.
//
// A page of a list holds at most 50 entries. There are no Lambda@Edge replicas, so MasterRegion finds nothing. Quotas other than
// those of sizes, concurrency and code storage are not enforced.
package lambda
