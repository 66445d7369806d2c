// Package ecr implements Amazon ECR: repositories of container images, with the registry that container tools push to and
// pull from ([Registry]).
//
// A layer is a list of blobs: the parts that it was uploaded in, hashed while they came. It becomes a layer when its digest is
// known to be what the client says, in the transaction that ends the upload; an upload survives a restart and ends after a
// day. A layer is stored once for an account and Region and is held by every repository that it was pushed to; only who may read a
// repository reads the layers that it holds, whatever else it knows their digests. A repository lets go of a layer that no image
// of it needs a day after it came, or with the next sweep after its last image went, if it is older.
//
// An image is its manifest, by its digest. It is taken only if the repository holds all that it names, and stays as long as
// an index names it.
//
// Who may do what is decided before a handler runs: the policy of a repository has a say, also for other accounts. The
// registry does nothing by itself: each of its requests is one or several calls of the operations here, by whom the login
// speaks for, so that policies and the audit trail see both alike. A login is a sealed token of twelve hours; it ends with
// the access key or the session that it was made with.
//
// Not like AWS: repositories are reached by the address of the server, "127.0.0.1:4566/NAME", in the registry that the login
// is for, or by ACCOUNT.dkr.ecr.REGION.localhost:4566; layer parts may be small; manifests are answered as they were
// pushed, whatever media types are accepted, and those of schema 1 are refused; images are not scanned, which is refused
// where it is asked for, and when they were pulled last is not told; encryption with a KMS key, lifecycle policies,
// replication and pull-through caches do not exist.
package ecr
