package sts

import (
	"context"
	"encoding/base64"

	api "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
)

// DecodeAuthorizationMessage opens what EncodeAuthorizationMessage sealed for the caller's account.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html.
func (s *Service) DecodeAuthorizationMessage(ctx context.Context, in *api.DecodeAuthorizationMessageInput) (*api.DecodeAuthorizationMessageOutput, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(*in.EncodedMessage)
	if err != nil {
		return nil, api.ErrInvalidAuthorizationMessage.New("Message is not valid")
	}
	text, err := s.deps.Seal.Open(sealed, messageOf(aws.CallFrom(ctx).Account))
	if err != nil {
		return nil, api.ErrInvalidAuthorizationMessage.New("Message is not valid")
	}
	return &api.DecodeAuthorizationMessageOutput{DecodedMessage: new(string(text))}, nil
}

// EncodeAuthorizationMessage seals the explanation of a refusal for the refused caller's account, as EC2 puts it into its
// errors: only who has the permission sts:DecodeAuthorizationMessage there reads it.
func (s *Service) EncodeAuthorizationMessage(account, text string) string {
	return base64.RawURLEncoding.EncodeToString(s.deps.Seal.Seal([]byte(text), messageOf(account)))
}

func messageOf(account string) []byte { return []byte("authorization message of " + account) }
