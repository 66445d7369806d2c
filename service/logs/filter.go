package logs

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// How much one FilterLogEvents examines. An answer that reaches it has a token and perhaps no events, as AWS's do.
const (
	maxExamined      = 200_000
	maxExaminedBytes = 16 << 20
)

// FilterLogEvents reads the events of a group's streams that match a pattern, in the order of time.
func (s *Service) FilterLogEvents(ctx context.Context, in *api.FilterLogEventsInput) (*api.FilterLogEventsOutput, error) {
	k, err := groupOf(aws.CallFrom(ctx), in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	if len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != nil {
		return nil, invalid("LogStreamNames and LogStreamNamePrefix are mutually exclusive parameters.")
	}
	f := &filter{to: maxAt, limit: limitOf(in.Limit, maxPageEvents)}
	if f.match, err = parsePattern(value(in.FilterPattern)); err != nil {
		return nil, err
	}
	if in.StartTime != nil {
		f.from = *in.StartTime
	}
	if in.EndTime != nil {
		f.to = min(*in.EndTime, maxAt) // inclusive
	}
	parameters := []string{
		"events", k.scope.Account, k.scope.Region, k.name, value(in.FilterPattern), value(in.LogStreamNamePrefix),
		strings.Join(in.LogStreamNames, " "), fmt.Sprint(f.from, f.to),
	}
	if f.start, err = parsePlace(in.NextToken, parameters...); err != nil {
		return nil, err
	}
	list, err := s.filteredStreams(ctx, k, in.LogStreamNames, value(in.LogStreamNamePrefix))
	if err != nil {
		return nil, err
	}
	for _, n := range list {
		if src := s.laneOf(k, n, f); src != nil {
			f.lanes = append(f.lanes, src)
		}
	}
	if err := f.run(ctx); err != nil {
		return nil, err
	}
	out := &api.FilterLogEventsOutput{Events: f.found, SearchedLogStreams: []*api.SearchedLogStream{}}
	if out.Events == nil {
		out.Events = []*api.FilteredLogEvent{}
	}
	if f.more {
		out.NextToken = new(listToken(f.last.String(), parameters...))
	}
	return out, nil
}

// filteredStreams are the named streams, which must exist, or those with the prefix.
func (s *Service) filteredStreams(ctx context.Context, k groupKey, names []string, prefix string) ([]named, error) {
	if len(names) == 0 {
		rows, err := s.scanStreams(ctx, k, prefix, store.Range{})
		if err != nil {
			return nil, err
		}
		return s.snapshots(ctx, k, rows)
	}
	names = slices.Clone(names)
	slices.Sort(names)
	var list []named
	for _, name := range slices.Compact(names) {
		st, err := s.find(ctx, k, name)
		if err != nil {
			return nil, err
		}
		list = append(list, st.named(name))
		st.mu.Unlock()
	}
	return list, nil
}

// place is a position among all streams of a group: by time, then by stream, then by arrival.
type place struct {
	position
	stream uint64
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.stream, q.stream), p.position.compare(q.position))
}

func (p place) String() string {
	return fmt.Sprintf("%d %d %d %d", p.at, p.stream, p.sequence, p.index)
}

var errPlace = errors.New("not a place")

// parsePlace reads the token of a place; nil for no token.
func parsePlace(token *string, parameters ...string) (*place, error) {
	text, err := parseListToken(token, parameters...)
	if err != nil || token == nil {
		return nil, err
	}
	parts := strings.Split(text, " ")
	if len(parts) != 4 {
		return nil, errToken()
	}
	var n [4]int64
	for i, part := range parts {
		if n[i], err = strconv.ParseInt(part, 10, 64); err != nil || n[i] < 0 {
			return nil, errToken().Because(errPlace)
		}
	}
	return &place{position{n[0], n[2], int(n[3])}, uint64(n[1])}, nil
}

// filter is one run of FilterLogEvents: a merge of lanes, one for each stream.
type filter struct {
	from, to int64
	limit    int
	match    matcher
	start    *place // examined already, with all before it

	lanes    lanes
	last     place // examined last
	more     bool  // there may be events after it
	examined int
	bytes    int
	found    []*api.FilteredLogEvent
	size     int
}

// laneOf is the lane of a stream, nil if it has no event in question. A stream is not read before the merge reaches the
// time of its first event.
func (s *Service) laneOf(k groupKey, n named, f *filter) *lane {
	r := span{from: f.from, to: f.to}
	if f.start != nil {
		switch r.from = max(r.from, f.start.at); {
		case n.id < f.start.stream:
			r.from = max(r.from, f.start.at+1)
		case n.id == f.start.stream:
			r.start = &gap{position: f.start.position, after: true}
		}
	}
	if n.sum.events == 0 || n.sum.max < r.from || n.first > r.to {
		return nil
	}
	first := place{position{at: max(r.from, n.first)}, n.id}
	return &lane{src: s.source(k, n, r), name: n.name, head: event{position: first.position}}
}

// lane is a stream in the merge: its next event, or before it is read a bound below it.
type lane struct {
	src  *source
	name string
	read bool
	head event
}

func (l *lane) place() place { return place{l.head.position, l.src.id} }

// advance reads the next event; not ok at the end.
func (l *lane) advance(ctx context.Context) (ok bool, err error) {
	l.head, ok, err = l.src.next(ctx)
	l.read = true
	return ok, err
}

// lanes is a heap.
type lanes []*lane

func (h lanes) Len() int           { return len(h) }
func (h lanes) Less(i, j int) bool { return h[i].place().compare(h[j].place()) < 0 }
func (h lanes) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lanes) Push(x any)        { *h = append(*h, x.(*lane)) }
func (h *lanes) Pop() any {
	n := len(*h) - 1
	l := (*h)[n]
	*h = (*h)[:n]
	return l
}

// run merges until the page is full, too much was examined, or there is nothing left.
func (f *filter) run(ctx context.Context) error {
	heap.Init(&f.lanes)
	for len(f.lanes) > 0 {
		l := f.lanes[0]
		if l.read && !f.take(l) {
			f.more = true
			return nil
		}
		ok, err := l.advance(ctx)
		switch {
		case err != nil:
			return err
		case ok:
			heap.Fix(&f.lanes, 0)
		case l.src.cut:
			f.more = true
			return nil
		default:
			heap.Pop(&f.lanes)
		}
	}
	return nil
}

// take examines the lane's event; it says no if the page has no room for more.
func (f *filter) take(l *lane) bool {
	if len(f.found) == f.limit || f.examined == maxExamined || f.bytes >= maxExaminedBytes {
		return false
	}
	matches := f.match(l.head.message)
	if matches && len(f.found) > 0 && f.size+l.head.size() > maxPageBytes {
		return false
	}
	f.examined++
	f.bytes += l.head.size()
	f.last = l.place()
	if matches {
		f.size += l.head.size()
		f.found = append(f.found, &api.FilteredLogEvent{
			LogStreamName: &l.name,
			Timestamp:     new(l.head.at),
			Message:       new(string(l.head.message)),
			IngestionTime: new(l.head.ingested),
			EventID:       new(eventID(l.src.id, l.head.position)),
		})
	}
	return true
}
