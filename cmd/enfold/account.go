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
	Name string `arg:"" help:"Name of the account."`
}

// Run prints the account as export lines, so that eval "$(enfold account create NAME)" works in it at once.
func (c accountCreateCmd) Run(ctx context.Context) error {
	t, err := findServer(c.dataFlag, "us-east-1")
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
	fmt.Printf("export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\nunset AWS_SESSION_TOKEN\n", a.AccessKeyID, a.SecretAccessKey)
	fmt.Printf("export AWS_ENDPOINT_URL=%s\n", t.endpoint)
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
