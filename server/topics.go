package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	kmsapi "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event/target"
	"github.com/enfold-run/enfold/service/sns"
)

// newSNS makes SNS of what it needs from the rest of the server.
func (s *Server) newSNS(d sns.Deps, calls aws.Doer) (*sns.Service, error) {
	allow, err := s.cfg.snsAllow()
	if err != nil {
		return nil, err
	}
	d.Places = senders(calls)
	if s.cfg.SMTP != "" {
		if d.Mail, err = target.NewMail(s.cfg.SMTP, s.cfg.MailFrom); err != nil {
			return nil, fmt.Errorf("--smtp, --mail-from: %w", err)
		}
	}
	d.Endpoints = target.NewHTTP(allow, s.isOwn)
	d.KMS = topicKeys{kmsapi.NewClient(calls)}
	d.URL, d.Log = s.URL, s.cfg.Log
	return sns.New(d), nil
}

// snsAllow are the addresses that are not public and to which SNS may post.
func (c *Config) snsAllow() ([]netip.Prefix, error) {
	all := make([]netip.Prefix, 0, len(c.SNSAllow))
	for _, text := range c.SNSAllow {
		p, err := netip.ParsePrefix(text)
		if a, e := netip.ParseAddr(text); e == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("--sns-allow %q: want an address or ADDRESS/BITS: %w", text, err)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// isOwn tells the addresses at which this server listens.
func (s *Server) isOwn(a netip.AddrPort) bool {
	at, err := netip.ParseAddrPort(s.listener.Addr().String())
	if err != nil || at.Port() != a.Port() {
		return false
	}
	if a.Addr().IsLoopback() || a.Addr().IsUnspecified() || at.Addr().Unmap() == a.Addr() {
		return true
	}
	if !at.Addr().IsUnspecified() {
		return false
	}
	host, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(host, func(h net.Addr) bool {
		p, err := netip.ParsePrefix(h.String())
		return err == nil && p.Addr().Unmap() == a.Addr()
	})
}

// topicKeys uses KMS keys for SNS, in the name of who publishes: the key's policy decides, and the audit trail has it.
type topicKeys struct{ kms kmsapi.API }

var _ sns.KMS = topicKeys{}

// DataKey implements sns.KMS.
func (k topicKeys) DataKey(ctx context.Context, key, topicArn string) (plain, blob []byte, err error) {
	out, err := k.kms.GenerateDataKey(viaSNS(ctx), &kmsapi.GenerateDataKeyInput{
		KeyID: &key, KeySpec: new(kmsapi.DataKeySpecAes256), EncryptionContext: topicContext(topicArn),
	})
	if err != nil {
		return nil, nil, err
	}
	return out.Plaintext, out.CiphertextBlob, nil
}

// Open implements sns.KMS.
func (k topicKeys) Open(ctx context.Context, blob []byte, topicArn string) ([]byte, error) {
	out, err := k.kms.Decrypt(viaSNS(ctx), &kmsapi.DecryptInput{CiphertextBlob: blob, EncryptionContext: topicContext(topicArn)})
	if err != nil {
		return nil, err
	}
	return out.Plaintext, nil
}

// topicContext is the encryption context of a topic's data keys, as SNS has it.
func topicContext(arn string) map[string]string { return map[string]string{"aws:sns:topicArn": arn} }

// viaSNS is a context whose calls are those of the principal in ctx, through SNS.
func viaSNS(ctx context.Context) context.Context {
	call := *aws.CallFrom(ctx)
	call.RequestID, call.Via = uuid.NewString(), append(slices.Clone(call.Via), "sns.amazonaws.com")
	return aws.WithCall(ctx, &call)
}
