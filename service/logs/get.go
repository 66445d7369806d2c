package logs

import (
	"context"
	"slices"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
)

// GetLogEvents reads one page of a stream, forward or backward, always answered in the order of time. The tokens stand
// for gaps between events, so that an event is never skipped and never seen twice; at an end the token in that direction
// is the one that was given.
func (s *Service) GetLogEvents(ctx context.Context, in *api.GetLogEventsInput) (*api.GetLogEventsOutput, error) {
	k, err := groupOf(aws.CallFrom(ctx), in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	st, err := s.find(ctx, k, *in.LogStreamName)
	if err != nil {
		return nil, err
	}
	n := st.named(*in.LogStreamName)
	st.mu.Unlock()

	r := span{to: maxAt, backward: in.StartFromHead == nil || !*in.StartFromHead}
	if in.StartTime != nil {
		r.from = *in.StartTime
	}
	if in.EndTime != nil {
		r.to = *in.EndTime - 1 // exclusive
	}
	if in.NextToken != nil {
		backward, g, ok := parseGapToken(*in.NextToken, n.id)
		if !ok {
			return nil, errToken()
		}
		r.start, r.backward = &g, backward
	}
	page, err := readPage(ctx, s.source(k, n, r), limitOf(in.Limit, maxPageEvents))
	if err != nil {
		return nil, err
	}
	if r.backward {
		slices.Reverse(page)
	}
	low, high := pageGaps(page, r)
	return &api.GetLogEventsOutput{
		Events:            outputEvents(page),
		NextForwardToken:  new(gapToken(false, high, n.id)),
		NextBackwardToken: new(gapToken(true, low, n.id)),
	}, nil
}

// readPage reads at most limit events, and no more bytes than an answer may hold unless one event alone does.
func readPage(ctx context.Context, src *source, limit int) ([]event, error) {
	var page []event
	size := 0
	for len(page) < limit {
		e, ok, err := src.next(ctx)
		if err != nil {
			return nil, err
		}
		size += e.size()
		if !ok || len(page) > 0 && size > maxPageBytes {
			break
		}
		page = append(page, e)
	}
	return page, nil
}

// pageGaps are the gaps around a page. Around an empty one it is where the reading started.
func pageGaps(page []event, r span) (low, high gap) {
	if n := len(page); n > 0 {
		return gap{position: page[0].position}, gap{position: page[n-1].position, after: true}
	}
	if r.start != nil {
		return *r.start, *r.start
	}
	edge := gap{position: position{at: max(0, min(r.from, maxAt))}}
	return edge, edge
}

func outputEvents(page []event) []*api.OutputLogEvent {
	events := make([]*api.OutputLogEvent, len(page))
	for i, e := range page {
		events[i] = &api.OutputLogEvent{Timestamp: new(e.at), IngestionTime: new(e.ingested), Message: new(string(e.message))}
	}
	return events
}
