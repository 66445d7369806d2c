package sns

import (
	"context"
	"errors"
	"strings"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
)

// Limits of a batch.
const (
	maxBatch   = 10
	maxBatchID = 80 // characters
)

// PublishBatch sends messages to a topic: those that can be sent, in one transaction.
func (s *Service) PublishBatch(ctx context.Context, in *api.PublishBatchInput) (*api.PublishBatchOutput, error) {
	arn, err := parseTopic(ctx, "TopicArn", in.TopicArn)
	if err != nil {
		return nil, err
	}
	entries := in.PublishBatchRequestEntries
	if err := checkBatch(entries); err != nil {
		return nil, err
	}
	out := &api.PublishBatchOutput{Successful: []*api.PublishBatchResultEntry{}, Failed: []*api.BatchResultErrorEntry{}}
	var good []*message
	var ids []*string
	for _, e := range entries {
		m, err := s.prepare(ctx, arn, &publication{
			e.Message, e.Subject, e.MessageStructure, e.MessageGroupID, e.MessageDeduplicationID, e.MessageAttributes,
		})
		var refused *aws.Error
		switch {
		case err == nil:
			good, ids = append(good, m), append(ids, e.ID)
			continue
		case !errors.As(err, &refused):
			return nil, err
		case refusesBatch(refused):
			return nil, err
		}
		out.Failed = append(out.Failed, &api.BatchResultErrorEntry{
			ID: e.ID, Code: &refused.Type.QueryCode, Message: &refused.Message, SenderFault: new(!refused.Type.Server),
		})
	}
	if err := s.emit(ctx, arn, good); err != nil {
		return nil, err
	}
	for i, m := range good {
		out.Successful = append(out.Successful, &api.PublishBatchResultEntry{ID: ids[i], MessageID: &m.ID, SequenceNumber: orNil(m.Sequence)})
	}
	return out, nil
}

// refusesBatch tells what AWS was recorded to refuse a whole batch for, though one entry is wrong.
func refusesBatch(e *aws.Error) bool {
	return e.Type == api.ErrInvalidParameterValue || strings.Contains(e.Message, "Message Structure")
}

// checkBatch refuses what is wrong with a batch as a whole.
func checkBatch(entries []*api.PublishBatchRequestEntry) error {
	switch n := len(entries); {
	case n == 0:
		return api.ErrEmptyBatchRequest.New("The batch request doesn't contain any entries.")
	case n > maxBatch:
		return api.ErrTooManyEntriesInBatchRequest.New("The batch request contains more entries than permissible.")
	}
	seen, size := map[string]bool{}, 0
	for _, e := range entries {
		id := value(e.ID)
		switch {
		case len(id) > maxBatchID:
			return api.ErrInvalidBatchEntryId.Withf("The Id of a batch entry in the batch request is too long: %.200s", id)
		case id == "" || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "":
			return api.ErrInvalidBatchEntryId.Withf("The Id of a batch entry in the batch request contains an impermissible character: %s", id)
		case seen[id]:
			return api.ErrBatchEntryIdsNotDistinct.New("Two or more batch entries in the request have the same Id.")
		}
		seen[id] = true
		size += len(value(e.Message))
		for name, a := range e.MessageAttributes {
			size += len(name) + len(value(a.DataType)) + len(value(a.StringValue)) + len(a.BinaryValue)
		}
	}
	if size > maxMessage {
		return api.ErrBatchRequestTooLong.New("The length of all the messages put together is more than the limit.")
	}
	return nil
}
