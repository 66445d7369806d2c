package sqs

import (
	"context"
	"errors"
	"strings"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
)

const (
	maxBatch   = 10
	maxEntryID = 80
)

// checkBatch checks the ids of a batch's entries; what names the kind of entry.
func checkBatch(what string, ids []string) error {
	switch {
	case len(ids) == 0:
		return api.ErrEmptyBatchRequest.Withf("There should be at least one %s in the request.", what)
	case len(ids) > maxBatch:
		return api.ErrTooManyEntriesInBatchRequest.Withf("Maximum number of entries per request are 10. You have sent %d.", len(ids))
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if id == "" || len(id) > maxEntryID || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return api.ErrInvalidBatchEntryId.New("A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if seen[id] {
			return api.ErrBatchEntryIdsNotDistinct.Withf("Id %s repeated.", id)
		}
		seen[id] = true
	}
	return nil
}

// entryIDs are the ids of a batch's entries; one that is null has none.
func entryIDs[E any](entries []*E, id func(*E) *string) []string {
	all := make([]string, len(entries))
	for i, e := range entries {
		if e != nil {
			all[i] = value(id(e))
		}
	}
	return all
}

// failed is what a batch says about an entry that failed. An error that is no answer to the sender is the batch's own.
func failed(id *string, err error) (*api.BatchResultErrorEntry, error) {
	e, ok := errors.AsType[*aws.Error](err)
	if !ok {
		return nil, err
	}
	code := e.Type.QueryCode
	if code == "" {
		code = e.Type.Code
	}
	return &api.BatchResultErrorEntry{ID: id, SenderFault: new(!e.Type.Server), Code: &code, Message: &e.Message}, nil
}

// SendMessageBatch stores up to ten messages, each of which may fail by itself. Those that are answered as successful are
// durable, together.
func (s *Service) SendMessageBatch(ctx context.Context, in *api.SendMessageBatchInput) (*api.SendMessageBatchOutput, error) {
	ids := entryIDs(in.Entries, func(e *api.SendMessageBatchRequestEntry) *string { return e.ID })
	if err := checkBatch("SendMessageBatchRequestEntry", ids); err != nil {
		return nil, err
	}
	q, err := s.named(ctx, in.QueueURL)
	if err != nil {
		return nil, err
	}
	if err := checkBatchSize(in.Entries); err != nil {
		return nil, err
	}
	out := &api.SendMessageBatchOutput{}
	call := aws.CallFrom(ctx)
	var good []*outgoing
	var goodIDs []*string
	for _, e := range in.Entries {
		m, err := newOutgoing(q, &api.SendMessageInput{
			MessageBody: e.MessageBody, DelaySeconds: e.DelaySeconds, MessageAttributes: e.MessageAttributes,
			MessageSystemAttributes: e.MessageSystemAttributes, MessageDeduplicationID: e.MessageDeduplicationID, MessageGroupID: e.MessageGroupID,
		})
		switch {
		case err != nil && err.Error() == errNoGroup.Error():
			return nil, invalid("%s", errNoGroup.Message)
		case err != nil && err.Error() == errNoDedup.Error():
			return nil, err
		case err != nil:
			f, err := failed(e.ID, err)
			if err != nil {
				return nil, err
			}
			out.Failed = append(out.Failed, f)
			continue
		}
		m.from(call)
		good, goodIDs = append(good, m), append(goodIDs, e.ID)
	}
	if len(good) > 0 {
		if err := s.send(ctx, q, good); err != nil {
			return nil, err
		}
	}
	for i, m := range good {
		out.Successful = append(out.Successful, &api.SendMessageBatchResultEntry{
			ID: goodIDs[i], MessageID: &m.done.ID, MD5OfMessageBody: new(md5Hex([]byte(m.body))),
			MD5OfMessageAttributes: md5OfAttributes(m.attributes), MD5OfMessageSystemAttributes: m.traceSum,
			SequenceNumber: q.sequence(m.done.Sequence),
		})
	}
	return out, nil
}

func checkBatchSize(entries []*api.SendMessageBatchRequestEntry) error {
	total := 0
	for _, e := range entries {
		total += len(value(e.MessageBody))
		for name, v := range e.MessageAttributes {
			if v != nil {
				total += len(name) + len(value(v.DataType)) + len(value(v.StringValue)) + len(v.BinaryValue)
			}
		}
	}
	if total > maxMessage {
		return api.ErrBatchRequestTooLong.Withf("Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxMessage, total)
	}
	return nil
}

// DeleteMessageBatch is DeleteMessage for up to ten messages.
func (s *Service) DeleteMessageBatch(ctx context.Context, in *api.DeleteMessageBatchInput) (*api.DeleteMessageBatchOutput, error) {
	ids := entryIDs(in.Entries, func(e *api.DeleteMessageBatchRequestEntry) *string { return e.ID })
	if err := checkBatch("DeleteMessageBatchRequestEntry", ids); err != nil {
		return nil, err
	}
	q, err := s.named(ctx, in.QueueURL)
	if err != nil {
		return nil, err
	}
	handles := make([]string, len(in.Entries))
	for i, e := range in.Entries {
		handles[i] = value(e.ReceiptHandle)
	}
	errs, err := s.remove(ctx, q, handles)
	if err != nil {
		return nil, err
	}
	out := &api.DeleteMessageBatchOutput{}
	for i, e := range in.Entries {
		if errs[i] == nil {
			out.Successful = append(out.Successful, &api.DeleteMessageBatchResultEntry{ID: e.ID})
			continue
		}
		f, err := failed(e.ID, errs[i])
		if err != nil {
			return nil, err
		}
		out.Failed = append(out.Failed, f)
	}
	return out, nil
}

// ChangeMessageVisibilityBatch is ChangeMessageVisibility for up to ten messages.
func (s *Service) ChangeMessageVisibilityBatch(ctx context.Context, in *api.ChangeMessageVisibilityBatchInput) (*api.ChangeMessageVisibilityBatchOutput, error) {
	ids := entryIDs(in.Entries, func(e *api.ChangeMessageVisibilityBatchRequestEntry) *string { return e.ID })
	if err := checkBatch("ChangeMessageVisibilityBatchRequestEntry", ids); err != nil {
		return nil, err
	}
	q, err := s.named(ctx, in.QueueURL)
	if err != nil {
		return nil, err
	}
	wanted := make([]hiding, len(in.Entries))
	for i, e := range in.Entries {
		wanted[i] = hiding{value(e.ReceiptHandle), value(e.VisibilityTimeout)}
	}
	errs, err := s.hide(ctx, q, wanted)
	if err != nil {
		return nil, err
	}
	out := &api.ChangeMessageVisibilityBatchOutput{}
	for i, e := range in.Entries {
		if errs[i] == nil {
			out.Successful = append(out.Successful, &api.ChangeMessageVisibilityBatchResultEntry{ID: e.ID})
			continue
		}
		f, err := failed(e.ID, errs[i])
		if err != nil {
			return nil, err
		}
		out.Failed = append(out.Failed, f)
	}
	return out, nil
}
