package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

type invokeCmd struct {
	dataFlag
	Function  string `arg:"" help:"Function name or ARN."`
	Payload   string `help:"JSON event, or - to read it from standard input." default:"{}" short:"p"`
	Qualifier string `help:"Version or alias." short:"q"`
	Region    string `help:"Region of the function." default:"us-east-1" env:"ENFOLD_REGION"`
	Quiet     bool   `help:"Print the answer only, not the log."`
}

// errNoName is what AWS does not say of a name that is empty: its path is that of no operation.
var errNoName = errors.New("the name of the function is empty")

// Run prints the log to standard error and the answer to standard output, and fails if the function did.
func (c invokeCmd) Run(ctx context.Context) error {
	if c.Function == "" {
		return errNoName
	}
	payload := []byte(c.Payload)
	if c.Payload == "-" {
		var err error
		if payload, err = io.ReadAll(io.LimitReader(os.Stdin, maxAnswer)); err != nil {
			return fmt.Errorf("read the event: %w", err)
		}
	}
	t, err := findServer(c.dataFlag, c.Region)
	if err != nil {
		return err
	}
	res, err := t.invoke(ctx, c.Function, c.Qualifier, payload)
	if err != nil {
		return err
	}
	if !c.Quiet {
		fmt.Fprint(os.Stderr, res.log)
	}
	os.Stdout.Write(res.payload)
	if !strings.HasSuffix(string(res.payload), "\n") {
		fmt.Println()
	}
	if res.functionError != "" {
		return exitCode(1)
	}
	return nil
}

func decodeLog(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return ""
	}
	return string(b)
}
