package lambda

import (
	"bytes"
	"encoding/json"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
)

// Limits and defaults of a configuration.
// See https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
const (
	defaultTimeout = 3 // seconds
	maxTimeout     = 900
	defaultMemory  = 128 // MB
	maxMemory      = 10_240
	defaultTmp     = 512 // MB
	minTmp         = 512
	maxTmp         = 10_240
	maxEnvironment = 4096 // bytes of the variables as JSON
)

// settings are what CreateFunction and UpdateFunctionConfiguration have in common. Nil is "not given".
type settings struct {
	runtime, handler, role, description *string
	timeout, memory                     *int
	tmp                                 *api.EphemeralStorage
	env                                 *api.Environment
	logging                             *api.LoggingConfig
	deadLetter                          *api.DeadLetterConfig
	tracing                             *api.TracingConfig
	vpc                                 *api.VpcConfig
	snapStart                           *api.SnapStart
	kmsKey                              *string
	sealed                              *newEnvironment // what env and kmsKey come to: see sealSettings
	image                               *api.ImageConfig
	files                               []*api.FileSystemConfig
	durable                             *api.DurableConfig
	capacity                            *api.CapacityProviderConfig
}

func settingsOfCreate(in *api.CreateFunctionInput) settings {
	return settings{
		runtime: in.Runtime, handler: in.Handler, role: in.Role, description: in.Description, timeout: in.Timeout,
		memory: in.MemorySize, tmp: in.EphemeralStorage, env: in.Environment, logging: in.LoggingConfig,
		deadLetter: in.DeadLetterConfig, tracing: in.TracingConfig, vpc: in.VpcConfig, snapStart: in.SnapStart, kmsKey: in.KMSKeyArn,
		image: in.ImageConfig, files: in.FileSystemConfigs, durable: in.DurableConfig, capacity: in.CapacityProviderConfig,
	}
}

func settingsOfUpdate(in *api.UpdateFunctionConfigurationInput) settings {
	return settings{
		runtime: in.Runtime, handler: in.Handler, role: in.Role, description: in.Description, timeout: in.Timeout,
		memory: in.MemorySize, tmp: in.EphemeralStorage, env: in.Environment, logging: in.LoggingConfig,
		deadLetter: in.DeadLetterConfig, tracing: in.TracingConfig, vpc: in.VpcConfig, snapStart: in.SnapStart, kmsKey: in.KMSKeyArn,
		image: in.ImageConfig, files: in.FileSystemConfigs, durable: in.DurableConfig, capacity: in.CapacityProviderConfig,
	}
}

// newConfig is a configuration with nothing but AWS's defaults.
func newConfig(name string) config {
	return config{
		ID: uuid.NewString(), Timeout: defaultTimeout, Memory: defaultMemory, Tmp: defaultTmp, Arch: hostArchitecture(),
		Tracing: api.TracingModePassThrough, Logging: logging{Format: api.LogFormatText, Group: "/aws/lambda/" + name},
	}
}

// hostArchitecture is what this machine calls itself in AWS's words.
func hostArchitecture() string {
	if runtime.GOARCH == "arm64" {
		return api.ArchitectureArm64
	}
	return api.ArchitectureX8664
}

// check refuses what is out of range, reserved, or not served. It needs no store.
func (s *settings) check() error {
	if err := s.refuse(); err != nil {
		return err
	}
	if s.runtime != nil {
		if err := checkRuntime(*s.runtime); err != nil {
			return err
		}
	}
	if s.timeout != nil {
		if err := inRange(*s.timeout, "timeout", 1, maxTimeout); err != nil {
			return err
		}
	}
	if s.memory != nil {
		if err := inRange(*s.memory, "memorySize", defaultMemory, maxMemory); err != nil {
			return err
		}
	}
	if s.tmp != nil && s.tmp.Size != nil {
		if err := inRange(*s.tmp.Size, "ephemeralStorage.size", minTmp, maxTmp); err != nil {
			return err
		}
	}
	if s.env != nil {
		if err := checkEnvironment(s.env.Variables); err != nil {
			return err
		}
	}
	if err := checkImageConfig(s.image); err != nil {
		return err
	}
	return s.checkDeadLetter()
}

func inRange(n int, member string, low, high int) error {
	switch {
	case n < low:
		return aws.ErrValidation.Withf("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: "+
			"Member must have value greater than or equal to %d", n, member, low)
	case n > high:
		return aws.ErrValidation.Withf("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: "+
			"Member must have value less than or equal to %d", n, member, high)
	}
	return nil
}

// refuse names what Enfold does not have: accepting it and doing nothing would be worse.
func (s *settings) refuse() error {
	switch {
	case s.vpc != nil && (len(s.vpc.SubnetIDs) > 0 || len(s.vpc.SecurityGroupIDs) > 0):
		return unsupported("VpcConfig with subnets or security groups")
	case s.vpc != nil && s.vpc.Ipv6AllowedForDualStack != nil && *s.vpc.Ipv6AllowedForDualStack:
		return unsupported("VpcConfig with Ipv6AllowedForDualStack")
	case len(s.files) > 0:
		return unsupported("FileSystemConfigs")
	case s.durable != nil:
		return unsupported("DurableConfig")
	case s.capacity != nil:
		return unsupported("CapacityProviderConfig")
	}
	return nil
}

func unsupported(what string) error { return invalid("Enfold does not support %s.", what) }

// checkArchitectures accepts what this host runs.
func checkArchitectures(list []string) error {
	for _, a := range list {
		if a != hostArchitecture() {
			return invalid("This host runs %s functions only: Enfold does not emulate %s.", hostArchitecture(), a)
		}
	}
	return nil
}

// deadLetterPattern accepts a queue or a topic.
var deadLetterPattern = aws.Pattern(`^arn:aws[a-zA-Z-]*:(sqs|sns):[a-z0-9-]+:\d{12}:.+$`)

func (s *settings) checkDeadLetter() error {
	if s.deadLetter == nil || str(s.deadLetter.TargetArn) == "" {
		return nil
	}
	if arn := *s.deadLetter.TargetArn; !deadLetterPattern().MatchString(arn) {
		return invalid("The dead letter target %s is neither an Amazon SQS queue nor an Amazon SNS topic.", arn)
	} else if strings.HasSuffix(arn, fifoSuffix) {
		return invalid("The dead letter target %s is a FIFO queue or topic: Lambda sends dead letters to standard ones only.", arn)
	}
	return nil
}

// reservedVariables are the runtime's own and cannot be set.
// See https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
var reservedVariables = map[string]bool{
	"_HANDLER": true, "_X_AMZN_TRACE_ID": true, "AWS_DEFAULT_REGION": true, "AWS_REGION": true, "AWS_EXECUTION_ENV": true,
	"AWS_LAMBDA_FUNCTION_NAME": true, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": true, "AWS_LAMBDA_FUNCTION_VERSION": true,
	"AWS_LAMBDA_INITIALIZATION_TYPE": true, "AWS_LAMBDA_LOG_GROUP_NAME": true, "AWS_LAMBDA_LOG_STREAM_NAME": true,
	"AWS_ACCESS_KEY": true, "AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true, "AWS_SESSION_TOKEN": true,
	"AWS_LAMBDA_RUNTIME_API": true, "LAMBDA_TASK_ROOT": true, "LAMBDA_RUNTIME_DIR": true,
}

var variablePattern = aws.Pattern(`^[a-zA-Z]([a-zA-Z0-9_])+$`)

// checkEnvironment checks the customer's variables. Its messages name keys; only the one that AWS words so names values,
// to the caller who sent them.
func checkEnvironment(vars map[string]string) error {
	var reserved []string
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		switch {
		case reservedVariables[k]:
			reserved = append(reserved, k)
		case !variablePattern().MatchString(k):
			return aws.ErrValidation.New("1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: " +
				"Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]")
		case strings.Contains(vars[k], "\x00"):
			return invalid("The value of the environment variable %s contains a NUL byte.", k)
		}
	}
	const failed = "Lambda was unable to configure your environment variables because the environment variables you have provided "
	if len(reserved) > 0 {
		return invalid("%s", failed+"contains reserved keys that are currently not supported for modification. "+
			"Reserved keys used in this request: "+strings.Join(reserved, ", "))
	}
	measured, err := measureEnvironment(vars)
	if err != nil {
		return err
	}
	if len(measured) > maxEnvironment {
		return invalid("%s", failed+"exceeded the 4KB limit. String measured: "+measured)
	}
	return nil
}

// measureEnvironment is the variables as the JSON whose length counts.
func measureEnvironment(vars map[string]string) (string, error) {
	if vars == nil {
		vars = map[string]string{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(vars); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// apply changes a configuration to what was given. The settings were checked.
func (s *settings) apply(c *config, name string) error {
	set(&c.Runtime, s.runtime)
	set(&c.Handler, s.handler)
	set(&c.Role, s.role)
	set(&c.Description, s.description)
	set(&c.Timeout, s.timeout)
	set(&c.Memory, s.memory)
	if s.tmp != nil {
		set(&c.Tmp, s.tmp.Size)
	}
	if s.sealed != nil {
		if err := s.sealed.apply(c); err != nil {
			return err
		}
	}
	if s.deadLetter != nil {
		c.DeadLetter = str(s.deadLetter.TargetArn)
	}
	if s.tracing != nil {
		set(&c.Tracing, s.tracing.Mode)
	}
	if s.vpc != nil {
		c.VPC = true
	}
	if s.snapStart != nil && s.snapStart.ApplyOn != nil {
		c.SnapStart = *s.snapStart.ApplyOn == api.SnapStartApplyOnPublishedVersions
	}
	s.applyImage(c)
	c.ID = uuid.NewString()
	return cmpErr(c.checkSnapStart(), s.applyLogging(c, name))
}

// applyLogging merges a LoggingConfig into what there was. Levels are of the JSON format only, where they default to INFO.
func (s *settings) applyLogging(c *config, name string) error {
	if s.logging == nil {
		return nil
	}
	l := &c.Logging
	set(&l.Format, s.logging.LogFormat)
	set(&l.Group, s.logging.LogGroup)
	if l.Group == "" {
		l.Group = "/aws/lambda/" + name
	}
	if l.Format == api.LogFormatText {
		if s.logging.ApplicationLogLevel != nil || s.logging.SystemLogLevel != nil {
			return invalid("ApplicationLogLevel and SystemLogLevel can only be set if LogFormat is JSON.")
		}
		l.App, l.System = "", ""
		return nil
	}
	set(&l.App, s.logging.ApplicationLogLevel)
	set(&l.System, s.logging.SystemLogLevel)
	if l.App == "" {
		l.App = api.ApplicationLogLevelInfo
	}
	if l.System == "" {
		l.System = api.SystemLogLevelInfo
	}
	return nil
}

func set[T any](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}
