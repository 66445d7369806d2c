package sts

import (
	"context"
	"errors"
	"testing"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
)

func TestGetCallerIdentity(t *testing.T) {
	for _, tt := range []struct {
		name      string
		principal *aws.Principal
		want      [3]string // UserId, Account, Arn
	}{
		{"root", aws.RootOf("000000000000", "AKIAROOT"), [3]string{"000000000000", "000000000000", "arn:aws:iam::000000000000:root"}},
		{
			"user",
			&aws.Principal{Type: aws.User, Account: "111122223333", Arn: "arn:aws:iam::111122223333:user/Alice", ID: "AIDACKCEVSQ6C2EXAMPLE"},
			[3]string{"AIDACKCEVSQ6C2EXAMPLE", "111122223333", "arn:aws:iam::111122223333:user/Alice"},
		},
		{
			"role session",
			&aws.Principal{
				Type: aws.AssumedRole, Account: "111122223333", ID: "AROACKCEVSQ6C2EXAMPLE:session",
				Arn: "arn:aws:sts::111122223333:assumed-role/Worker/session",
			},
			[3]string{"AROACKCEVSQ6C2EXAMPLE:session", "111122223333", "arn:aws:sts::111122223333:assumed-role/Worker/session"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The account of the call is whose resources are meant; the answer is about the caller.
			ctx := aws.WithCall(context.Background(), &aws.Call{Principal: tt.principal, Account: "999999999999"})
			out, err := New(Deps{}).GetCallerIdentity(ctx, &api.GetCallerIdentityInput{})
			if err != nil {
				t.Fatal(err)
			}
			if got := [3]string{*out.UserID, *out.Account, *out.Arn}; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestGetCallerIdentityOfNobody(t *testing.T) {
	_, err := New(Deps{}).GetCallerIdentity(context.Background(), &api.GetCallerIdentityInput{})
	if !errors.Is(err, aws.ErrAccessDenied) {
		t.Errorf("got %v, want %v", err, aws.ErrAccessDenied)
	}
}
