package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	kmsapi "github.com/enfold-run/enfold/api/kms"
	logsapi "github.com/enfold-run/enfold/api/logs"
	stsapi "github.com/enfold-run/enfold/api/sts"
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
	return prefixes("--sns-allow", c.SNSAllow)
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

// snsService is SNS acting by itself.
var snsService = aws.ServicePrincipal("sns.amazonaws.com")

// topicRoles assumes the roles with which topics log, as sns.amazonaws.com: the role's trust policy decides, and the audit trail has it.
type topicRoles struct{ sts stsapi.API }

func (r topicRoles) assume(ctx context.Context, account, region, role, topic string) (*stsapi.Credentials, error) {
	ctx = aws.WithCall(ctx, &aws.Call{
		Principal: snsService, Account: account, Region: region, RequestID: uuid.NewString(), SourceIP: snsService.Service,
		UserAgent: snsService.Service, Secure: true, SourceAccount: account, SourceArn: topic,
	})
	out, err := r.sts.AssumeRole(ctx, &stsapi.AssumeRoleInput{RoleArn: &role, RoleSessionName: new("DeliveryStatus")})
	if err != nil {
		return nil, err
	}
	return out.Credentials, nil
}

// topicLogs writes the delivery status logs of topics.
type topicLogs struct {
	sessions *sessions
	logs     logsapi.API
}

var _ sns.StatusLog = topicLogs{}

// Log implements sns.StatusLog.
func (l topicLogs) Log(ctx context.Context, line *sns.StatusLine) error {
	p, err := l.sessions.Session(ctx, line.Scope, line.Role, line.Topic)
	if err != nil {
		return err
	}
	ctx = aws.WithCall(ctx, &aws.Call{
		Principal: p, Account: p.Account, Region: line.Scope.Region, RequestID: uuid.NewString(), Secure: true, SourceIP: snsService.Service,
		UserAgent: snsService.Service, SourceArn: line.Topic, SourceAccount: line.Scope.Account,
	})
	stream := line.At.UTC().Format("2006-01-02")
	in := &logsapi.PutLogEventsInput{LogGroupName: &line.Group, LogStreamName: &stream, LogEvents: []*logsapi.InputLogEvent{
		{Timestamp: new(line.At.UnixMilli()), Message: &line.Text},
	}}
	_, err = l.logs.PutLogEvents(ctx, in)
	if !errors.Is(err, logsapi.ErrResourceNotFound) {
		return err
	}
	_, err = l.logs.CreateLogGroup(ctx, &logsapi.CreateLogGroupInput{LogGroupName: &line.Group})
	if err != nil && !errors.Is(err, logsapi.ErrResourceAlreadyExists) {
		return err
	}
	_, err = l.logs.CreateLogStream(ctx, &logsapi.CreateLogStreamInput{LogGroupName: &line.Group, LogStreamName: &stream})
	if err != nil && !errors.Is(err, logsapi.ErrResourceAlreadyExists) {
		return err
	}
	_, err = l.logs.PutLogEvents(ctx, in)
	return err
}
