package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/enfold-run/enfold/server"
)

type accountCmd struct {
	Create accountCreateCmd `cmd:"" help:"Make an AWS account with its own root key, which is printed once."`
	List   accountListCmd   `cmd:"" help:"List the accounts of the server."`
}

type accountCreateCmd struct {
	dataFlag
	Name   string `arg:"" help:"Name of the account."`
	Region string `help:"Region to export." default:"us-east-1" env:"ENFOLD_REGION"`
}

// Run prints the account as export lines, so that eval "$(enfold account create NAME)" works in it at once.
func (c accountCreateCmd) Run(ctx context.Context) error {
	t, err := findServer(c.dataFlag, c.Region)
	if err != nil {
		return err
	}
	body, err := json.Marshal(server.Account{Name: c.Name})
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	_, b, err := t.do(ctx, request{service: "iam", method: http.MethodPost, path: server.AccountsPath, body: body})
	if err != nil {
		return err
	}
	var a server.Account
	if err := json.Unmarshal(b, &a); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	fmt.Printf("# account %s (%s): its root key is shown this once\n", a.ID, a.Name)
	own := target{endpoint: t.endpoint, region: t.region, accessKeyID: a.AccessKeyID, secret: a.SecretAccessKey}
	fmt.Print(own.exports())
	return nil
}

type accountListCmd struct{ dataFlag }

// Run prints a line per account.
func (c accountListCmd) Run(ctx context.Context) error {
	t, err := findServer(c.dataFlag, "us-east-1")
	if err != nil {
		return err
	}
	_, b, err := t.do(ctx, request{service: "iam", method: http.MethodGet, path: server.AccountsPath})
	if err != nil {
		return err
	}
	var all []server.Account
	if err := json.Unmarshal(b, &all); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	for _, a := range all {
		fmt.Printf("%s  %s\n", a.ID, a.Name)
	}
	return nil
}
