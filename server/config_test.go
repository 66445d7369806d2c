package server

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name string
		is   func(string) bool
		yes  []string
		no   []string
	}{
		{
			"account", isAccountID,
			[]string{"000000000000", "123456789012"},
			[]string{"", "12345678901", "1234567890123", "12345678901a", "12345678901\n", "12345678901٣", "-12345678901"},
		},
		{
			"region", isRegion,
			[]string{"us-east-1", "us-gov-west-1", "ap-southeast-12", "eusc-de-east-1", "us-isob-east-1"},
			[]string{
				"", "Mars", "us", "us-1", "us-east", "us-east-", "us--1", "-east-1", "us-east-1-", "us-east-123", "u-east-1", "abcde-east-1",
				"US-east-1", "us-East-1", "us-east-1\n", "us-ea st-1", "us-east1-1", "us-east-١",
			},
		},
		{
			"access key id", isKeyID,
			[]string{"a", "AKIA_09az", strings.Repeat("K", maxKeyID)},
			[]string{"", "a b", "a-b", "a/b", "a\n", "ä", strings.Repeat("K", maxKeyID+1)},
		},
	} {
		for _, s := range c.yes {
			if !c.is(s) {
				t.Errorf("%s %q is none, want one", c.name, s)
			}
		}
		for _, s := range c.no {
			if c.is(s) {
				t.Errorf("%s %q is one, want none", c.name, s)
			}
		}
	}
}
