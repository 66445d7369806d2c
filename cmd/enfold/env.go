package main

import (
	"fmt"
	"strings"
)

type envCmd struct {
	dataFlag
	Region string `help:"Region to export." default:"us-east-1" env:"ENFOLD_REGION"`
}

func (c envCmd) Run() error {
	t, err := serverOf(c.dir(), c.Region)
	if err != nil {
		return err
	}
	fmt.Print(t.exports())
	return nil
}

// exports are the lines of a POSIX shell that point AWS clients at the server, as who we are to it, whatever they were pointed at before.
func (t *target) exports() string {
	var b strings.Builder
	for _, v := range [][2]string{
		{"AWS_ACCESS_KEY_ID", t.accessKeyID},
		{"AWS_SECRET_ACCESS_KEY", t.secret},
		{"AWS_REGION", t.region},
		{"AWS_DEFAULT_REGION", t.region},
		{"AWS_ENDPOINT_URL", t.endpoint},
	} {
		fmt.Fprintf(&b, "export %s=%s\n", v[0], shellQuote(v[1]))
	}
	return b.String() + "unset AWS_SESSION_TOKEN AWS_PROFILE\n"
}

// shellQuote makes one word of a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
