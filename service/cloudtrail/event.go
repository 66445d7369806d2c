package cloudtrail

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// Event is a recorded call.
type Event struct {
	ID        string
	Time      time.Time // to the second
	Account   string    // whose trail it is in
	Region    string
	RequestID string
	Source    string // "lambda.amazonaws.com"
	Name      string // "CreateFunction20150331"
	Op        string // "CreateFunction"
	Action    string // of IAM: "lambda:InvokeFunction" for Invoke
	ReadOnly  bool
	Data      bool // a data event
	Recovered bool // the call's outcome was not recorded, only that it changed something

	// Access is what was decided on, in order: the call's own action on each resource, and further ones such as iam:PassRole.
	// Of a call that was denied, the last one was.
	Access    []aws.Access
	Resources []Resource

	PrincipalArn string
	Role         string // ARN of the role whose session called; empty for others
	User         string // name as the event history shows it: of the user, or of the role's session
	AccessKeyID  string

	ErrorCode    string // "AccessDenied"; empty for a success
	ErrorMessage string
	Record       string // the whole record, JSON
}

// Allowed says that the call was authorized, whether it succeeded or not.
func (e *Event) Allowed() bool { return e.ErrorCode != "AccessDenied" }

// line is what a chunk has of an event.
type line struct {
	Op     string
	Action string
	Access []aws.Access
	Record json.RawMessage
}

// record is what is read again of a record.
type record struct {
	UserIdentity struct {
		Type           string `json:"type"`
		PrincipalID    string `json:"principalId"`
		Arn            string `json:"arn"`
		AccessKeyID    string `json:"accessKeyId"`
		UserName       string `json:"userName"`
		InvokedBy      string `json:"invokedBy"`
		SessionContext struct {
			SessionIssuer struct {
				Type string `json:"type"`
				Arn  string `json:"arn"`
			} `json:"sessionIssuer"`
		} `json:"sessionContext"`
	} `json:"userIdentity"`
	EventTime           time.Time  `json:"eventTime"`
	EventSource         string     `json:"eventSource"`
	EventName           string     `json:"eventName"`
	Region              string     `json:"awsRegion"`
	ErrorCode           string     `json:"errorCode"`
	ErrorMessage        string     `json:"errorMessage"`
	RequestID           string     `json:"requestID"`
	EventID             string     `json:"eventID"`
	ReadOnly            bool       `json:"readOnly"`
	Resources           []Resource `json:"resources"`
	ManagementEvent     bool       `json:"managementEvent"`
	Recipient           string     `json:"recipientAccountId"`
	AdditionalEventData struct {
		Recovered bool `json:"recovered"`
	} `json:"additionalEventData"`
}

func parseEvent(text []byte) (*Event, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("%w: %w", errChunk, err)
	}
	var r record
	if err := json.Unmarshal(l.Record, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", errChunk, err)
	}
	id := r.UserIdentity
	e := &Event{
		ID: r.EventID, Time: r.EventTime, Account: r.Recipient, Region: r.Region, RequestID: r.RequestID,
		Source: r.EventSource, Name: r.EventName, Op: l.Op, Action: l.Action, ReadOnly: r.ReadOnly, Data: !r.ManagementEvent,
		Recovered: r.AdditionalEventData.Recovered, Access: l.Access, Resources: r.Resources,
		PrincipalArn: id.Arn, User: id.UserName, AccessKeyID: id.AccessKeyID,
		ErrorCode: r.ErrorCode, ErrorMessage: r.ErrorMessage, Record: string(l.Record),
	}
	if issuer := id.SessionContext.SessionIssuer; issuer.Type == "Role" {
		e.Role = issuer.Arn
	}
	switch id.Type {
	case "Root":
		e.User = "root"
	case "AWSService":
		e.User, e.PrincipalArn = id.InvokedBy, id.InvokedBy
	case "AssumedRole", "FederatedUser":
		e.User = lastPart(id.Arn)
	}
	return e, nil
}

// Query is which events are meant.
type Query struct {
	Account  string
	RoleArn  string    // of the role whose sessions called; empty for everybody
	From, To time.Time // inclusive; zero for open
}

// Events yields the management and then the data events of an account, each in the order in which they were recorded, with
// those recorded just now. The error, if any, comes last.
func (s *Service) Events(ctx context.Context, q Query) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		if err := s.flush(context.WithoutCancel(ctx)); err != nil {
			yield(nil, err)
			return
		}
		for _, kind := range []string{management, data} {
			if more, err := s.events(ctx, logID{q.Account, kind}, q, yield); err != nil {
				yield(nil, fmt.Errorf("read %s events: %w", kind, err))
				return
			} else if !more {
				return
			}
		}
	}
}

func (s *Service) events(ctx context.Context, l logID, q Query, yield func(*Event, error) bool) (more bool, err error) {
	for after := int64(0); ; {
		var page []store.Chunk // read at once, so that a slow reader holds no transaction
		err := s.raw.View(ctx, func(tx store.Tx) error {
			page = nil
			for c, err := range tx.ReadLog(l.name(), l.scope(), after, 16) {
				if err != nil {
					return err
				}
				page = append(page, c)
			}
			return nil
		})
		if err != nil || len(page) == 0 {
			return err == nil, err
		}
		for _, c := range page {
			after = c.Sequence
			if !q.From.IsZero() && c.Last.Before(q.From.Truncate(time.Second)) || !q.To.IsZero() && c.First.After(q.To) {
				continue
			}
			if more, err := q.chunk(c, yield); err != nil || !more {
				return false, err
			}
		}
	}
}

func (q Query) chunk(c store.Chunk, yield func(*Event, error) bool) (more bool, err error) {
	_, _, p, err := openChunk(c)
	if err != nil {
		return false, err
	}
	lines, err := p.texts()
	if err != nil {
		return false, err
	}
	for _, text := range lines {
		if q.RoleArn != "" && !strings.Contains(string(text), q.RoleArn) {
			continue
		}
		e, err := parseEvent(text)
		if err != nil {
			return false, err
		}
		if q.has(e) && !yield(e, nil) {
			return false, nil
		}
	}
	return true, nil
}

func (q Query) has(e *Event) bool {
	return (q.RoleArn == "" || e.Role == q.RoleArn) &&
		(q.From.IsZero() || !e.Time.Before(q.From.Truncate(time.Second))) && (q.To.IsZero() || !e.Time.After(q.To))
}
