package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/enfold-run/enfold/server"
)

type serveCmd struct {
	dataFlag
	Listen    string `help:"Address to listen on." default:"127.0.0.1:4566" env:"ENFOLD_LISTEN" placeholder:"HOST:PORT"`
	Account   string `help:"AWS account id, 12 digits." default:"000000000000" env:"ENFOLD_ACCOUNT"`
	Region    string `help:"Region of requests that name none." default:"us-east-1" env:"ENFOLD_REGION"`
	Isolation string `help:"How functions are isolated: ${enum}." enum:"auto,process,namespace,gvisor" default:"auto" env:"ENFOLD_ISOLATION"`

	AccountIsolation map[string]string `help:"Isolate the functions of an account better than others: 111111111111=gvisor." env:"ENFOLD_ACCOUNT_ISOLATION" mapsep:"," placeholder:"ACCOUNT=KIND"`

	TLSCert           string `help:"TLS certificate file (PEM)." env:"ENFOLD_TLS_CERT" type:"path" placeholder:"FILE"`
	TLSKey            string `help:"TLS key file (PEM)." env:"ENFOLD_TLS_KEY" type:"path" placeholder:"FILE"`
	InsecurePlaintext bool   `help:"Allow a --listen address that other machines reach, without TLS." env:"ENFOLD_INSECURE_PLAINTEXT"`
	MetricsToken      string `help:"Bearer token that lets other machines read /_enfold/metrics." env:"ENFOLD_METRICS_TOKEN"`

	RuntimeMap    map[string]string `help:"Interpreter of a runtime: python3.12=/usr/bin/python3." env:"ENFOLD_RUNTIME_MAP" mapsep:"," placeholder:"RUNTIME=PATH"`
	RuntimeImages map[string]string `help:"Container image that serves a runtime instead of an interpreter of this host: python3.12=public.ecr.aws/lambda/python:3.12, with --image-registries public.ecr.aws." env:"ENFOLD_RUNTIME_IMAGES" mapsep:"," placeholder:"RUNTIME=IMAGE"`
	IdleTime      time.Duration     `help:"How long an idle sandbox is kept." default:"10m" env:"ENFOLD_IDLE_TIME"`
	Prewarm       int64             `help:"Memory for language runtimes that boot before they are needed, in MiB. 0 for none." default:"256" env:"ENFOLD_PREWARM" placeholder:"MIB"`

	AccountConcurrency  int `help:"How many invocations an account may run at once in a region." default:"1000" env:"ENFOLD_ACCOUNT_CONCURRENCY" placeholder:"N"`
	FunctionScalingRate int `help:"How many new sandboxes one function may get in ten seconds. Invocations that need more are throttled." default:"1000" env:"ENFOLD_FUNCTION_SCALING_RATE" placeholder:"N"`

	RootAccessKeyID     string `help:"Fix the root access key id, instead of generating one at first start." env:"ENFOLD_ROOT_ACCESS_KEY_ID" placeholder:"ID"`
	RootSecretAccessKey string `help:"Fix the root secret. Better given by the environment: the process list shows flags." env:"ENFOLD_ROOT_SECRET_ACCESS_KEY" placeholder:"SECRET"`

	RootKeyCommand string `help:"Shell command that prints the key which seals the data: 32 bytes, raw, hex or base64. From Vault, a TPM or a cloud's KMS." env:"ENFOLD_ROOT_KEY_COMMAND" placeholder:"CMD"`
	RootKeyFile    string `help:"File that holds that key. With neither, one is made in the data directory." env:"ENFOLD_ROOT_KEY_FILE" type:"path" placeholder:"FILE"`

	PrivateIssuers []string `help:"OpenID Connect identity providers of yours that have a private address: STS asks others at public ones only." env:"ENFOLD_PRIVATE_ISSUERS" placeholder:"HOST:PORT"`

	SNSAllow []string `help:"Addresses that are not public and that SNS may post to, such as 10.1.0.0/16." env:"ENFOLD_SNS_ALLOW" placeholder:"CIDR"`

	ImageRegistries []string `help:"Registries, besides the embedded one, that functions of PackageType Image may be pulled from: public.ecr.aws, HOST:PORT, http://HOST:PORT without TLS." env:"ENFOLD_IMAGE_REGISTRIES" placeholder:"HOST"`
	ImageAllow      []string `help:"Addresses that are not public and at which such a registry may be, such as 10.1.0.0/16." env:"ENFOLD_IMAGE_ALLOW" placeholder:"CIDR"`
	ImageDir        []string `help:"Directories in which OCI layouts and docker-archives may be, for ImageUri oci:PATH and docker-archive:PATH." env:"ENFOLD_IMAGE_DIR" placeholder:"DIR"`

	SMTP     string `help:"Mail server for subscriptions by mail: smtp://USER:PASSWORD@HOST:PORT, or smtps://. Better given by the environment." env:"ENFOLD_SMTP" placeholder:"URL"`
	MailFrom string `help:"Address that mail is sent from." env:"ENFOLD_MAIL_FROM" placeholder:"ADDRESS"`

	LogLevel string `help:"Least level of the server's own log: ${enum}." enum:"debug,info,warn,error" default:"info" env:"ENFOLD_LOG_LEVEL"`
}

// mostPrewarm is more than any machine has, in MiB.
const mostPrewarm = 1 << 24

// Validate refuses numbers that mean nothing; kong calls it.
func (c serveCmd) Validate() error {
	switch {
	case c.Prewarm < 0 || c.Prewarm > mostPrewarm:
		return fmt.Errorf("--prewarm %d: want a number of MiB, 0 for none", c.Prewarm)
	case c.IdleTime <= 0:
		return fmt.Errorf("--idle-time %v: want a time", c.IdleTime)
	case c.AccountConcurrency < 1:
		return fmt.Errorf("--account-concurrency %d: want a number of invocations", c.AccountConcurrency)
	case c.FunctionScalingRate < 1:
		return fmt.Errorf("--function-scaling-rate %d: want a number of sandboxes in ten seconds", c.FunctionScalingRate)
	}
	return nil
}

// drainTime is how long running invocations may go on after Ctrl-C. A second Ctrl-C ends it at once.
const drainTime = 30 * time.Second

func (c serveCmd) Run(ctx context.Context) error {
	begun := time.Now()
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	s, err := server.New(ctx, server.Config{
		Listen: c.Listen, Data: c.dir(), Account: c.Account, Region: c.Region, Isolation: c.Isolation, AccountIsolation: c.AccountIsolation,
		TLSCert: c.TLSCert, TLSKey: c.TLSKey, InsecurePlaintext: c.InsecurePlaintext, MetricsToken: c.MetricsToken,
		RuntimeMap: c.RuntimeMap, IdleTime: c.IdleTime, ReadyMemory: c.readyMemory(), AccountConcurrency: c.AccountConcurrency,
		FunctionScalingRate: c.FunctionScalingRate,
		RootAccessKeyID:     c.RootAccessKeyID, RootSecretAccessKey: c.RootSecretAccessKey,
		RootKeyCommand: c.RootKeyCommand, RootKeyFile: c.RootKeyFile, PrivateIssuers: c.PrivateIssuers, SNSAllow: c.SNSAllow, SMTP: c.SMTP, MailFrom: c.MailFrom,
		ImageRegistries: c.ImageRegistries, ImageAllow: c.ImageAllow, ImageDirs: c.ImageDir, RuntimeImages: c.RuntimeImages,
		Log: log,
	})
	if err != nil {
		return err
	}
	fmt.Printf("Enfold %s ready at %s in %d ms (isolation %s, data %s)\n",
		server.Version(), s.URL(), time.Since(begun).Milliseconds(), s.Isolation(), c.dir())
	return s.Serve(ctx, drainTime, secondSignal(ctx))
}

// readyMemory is in bytes; none is less than zero.
func (c serveCmd) readyMemory() int64 {
	if c.Prewarm <= 0 {
		return -1
	}
	return c.Prewarm << 20
}

// secondSignal is closed at the first Ctrl-C after ctx ended.
func secondSignal(ctx context.Context) <-chan struct{} {
	hurry := make(chan struct{})
	context.AfterFunc(ctx, func() {
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		<-again
		close(hurry)
	})
	return hurry
}
