package logs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// maxStreamKey bounds a stream's name in bytes, so that its key fits the store's: with characters beyond ASCII a name may
// have fewer than 512 of them.
const maxStreamKey = 1000

// CreateLogStream makes an empty stream in a group.
func (s *Service) CreateLogStream(ctx context.Context, in *api.CreateLogStreamInput) (*api.CreateLogStreamOutput, error) {
	sc, name := scopeOf(aws.CallFrom(ctx)), *in.LogStreamName
	if utf8.RuneCountInString(name) > maxName || len(name) > maxStreamKey {
		return nil, errNameLength()
	}
	if strings.ContainsRune(name, 0) {
		return nil, invalid("1 validation error detected: Value '%s' at 'logStreamName' failed to satisfy constraint: "+
			"Member must satisfy regular expression pattern: [^:*]*", name)
	}
	row := streamRow{ID: newID(), Created: s.millis()}
	err := s.db.Update(ctx, func(tx store.Tx) error {
		group, err := getGroup(tx, sc, *in.LogGroupName)
		if err != nil {
			return err
		}
		_, err = streams.Put(tx, sc, store.Key(group.Value.ID, name), row, store.IfAbsent())
		return err
	})
	if errors.Is(err, store.ErrExists) {
		return nil, api.ErrResourceAlreadyExists.New("The specified log stream already exists")
	}
	if err != nil {
		return nil, err
	}
	return &api.CreateLogStreamOutput{}, nil
}

// DeleteLogStream unlinks a stream; the sweeper deletes its events.
func (s *Service) DeleteLogStream(ctx context.Context, in *api.DeleteLogStreamInput) (*api.DeleteLogStreamOutput, error) {
	k := groupKey{scopeOf(aws.CallFrom(ctx)), *in.LogGroupName}
	err := s.db.Update(ctx, func(tx store.Tx) error {
		group, err := getGroup(tx, k.scope, k.name)
		if err != nil {
			return err
		}
		row, err := getStream(tx, k.scope, group.Value, *in.LogStreamName)
		if err != nil {
			return err
		}
		if _, err := trash.Put(tx, k.scope, store.Key(trashStream, logName(row.Value.ID)), trashRow{}); err != nil {
			return err
		}
		return streams.Delete(tx, k.scope, row.Key)
	})
	if err != nil {
		return nil, err
	}
	s.streams.forget(k, *in.LogStreamName)
	s.wake()
	return &api.DeleteLogStreamOutput{}, nil
}

// named is a stream with its name and a copy of its bookkeeping.
type named struct {
	name    string
	id      uint64
	created int64
	sum     totals
	first   int64
}

// DescribeLogStreams lists streams by name or by the time of their last event.
func (s *Service) DescribeLogStreams(ctx context.Context, in *api.DescribeLogStreamsInput) (*api.DescribeLogStreamsOutput, error) {
	k, err := groupOf(aws.CallFrom(ctx), in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	prefix := value(in.LogStreamNamePrefix)
	byTime := value(in.OrderBy) == api.OrderByLastEventTime
	if byTime && prefix != "" {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	l := streamList{
		key: k, prefix: prefix, descending: in.Descending != nil && *in.Descending, limit: limitOf(in.Limit, pageSize),
		parameters: []string{
			"streams", k.scope.Account, k.scope.Region, k.name, prefix, fmt.Sprint(byTime, in.Descending != nil && *in.Descending),
		},
	}
	if l.after, err = parseListToken(in.NextToken, l.parameters...); err != nil {
		return nil, err
	}
	list := s.streamsByName
	if byTime {
		list = s.streamsByTime
	}
	page, next, err := list(ctx, l)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeLogStreamsOutput{LogStreams: []*api.LogStream{}}
	for _, st := range page {
		out.LogStreams = append(out.LogStreams, st.describe(k))
	}
	if next != "" {
		out.NextToken = new(listToken(next, l.parameters...))
	}
	return out, nil
}

// streamList is what DescribeLogStreams was asked for.
type streamList struct {
	key        groupKey
	prefix     string
	after      string // place in the list
	descending bool
	limit      int
	parameters []string
}

// streamsByName reads one page. The answer next is the place to go on after, empty at the end.
func (s *Service) streamsByName(ctx context.Context, l streamList) (page []named, next string, err error) {
	rows, err := s.scanStreams(ctx, l.key, l.prefix, store.Range{After: l.after, Reverse: l.descending, Limit: l.limit + 1})
	if err != nil {
		return nil, "", err
	}
	if len(rows) > l.limit {
		rows = rows[:l.limit]
		next = streamName(rows[l.limit-1].Key)
	}
	page, err = s.snapshots(ctx, l.key, rows)
	return page, next, err
}

// streamsByTime sorts all streams of the group; one without events comes before all others.
func (s *Service) streamsByTime(ctx context.Context, l streamList) (page []named, next string, err error) {
	rows, err := s.scanStreams(ctx, l.key, "", store.Range{})
	if err != nil {
		return nil, "", err
	}
	all, err := s.snapshots(ctx, l.key, rows)
	if err != nil {
		return nil, "", err
	}
	order := func(a, b named) int {
		c := cmp.Or(cmp.Compare(a.sum.max, b.sum.max), cmp.Compare(a.name, b.name))
		if l.descending {
			return -c
		}
		return c
	}
	slices.SortFunc(all, order)
	if l.after != "" {
		at, name, _ := strings.Cut(l.after, " ")
		last, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return nil, "", errToken()
		}
		i := slices.IndexFunc(all, func(n named) bool { return order(n, named{name: name, sum: totals{max: last}}) > 0 })
		if i < 0 {
			i = len(all)
		}
		all = all[i:]
	}
	if len(all) > l.limit {
		all = all[:l.limit]
		next = fmt.Sprintf("%d %s", all[l.limit-1].sum.max, all[l.limit-1].name)
	}
	return all, next, nil
}

// scanStreams reads the rows of a group's streams. r.After is a stream's name.
func (s *Service) scanStreams(ctx context.Context, k groupKey, prefix string, r store.Range) (rows []store.Row[streamRow], err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		rows = nil
		g, err := getGroup(tx, k.scope, k.name)
		if err != nil {
			return err
		}
		part := r
		if part.Prefix = store.Prefix(g.Value.ID) + prefix; r.After != "" {
			part.After = store.Key(g.Value.ID, r.After)
		}
		for row, err := range streams.Scan(tx, k.scope, part) {
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}

// streamName is the name in a stream's key.
func streamName(key string) string {
	_, name, _ := strings.Cut(key, "\x00")
	return name
}

// snapshots copies the bookkeeping of streams; of those deleted meanwhile there is none.
func (s *Service) snapshots(ctx context.Context, k groupKey, rows []store.Row[streamRow]) ([]named, error) {
	list := make([]named, 0, len(rows))
	for _, row := range rows {
		n, ok, err := s.snapshot(ctx, k, row)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, n)
		}
	}
	return list, nil
}

// snapshot is the bookkeeping of one stream now; not ok if it was deleted.
func (s *Service) snapshot(ctx context.Context, k groupKey, row store.Row[streamRow]) (named, bool, error) {
	name := streamName(row.Key)
	st, err := s.find(ctx, k, name)
	if errors.Is(err, api.ErrResourceNotFound) {
		return named{}, false, nil
	}
	if err != nil {
		return named{}, false, err
	}
	defer st.mu.Unlock()
	return st.named(name), true, nil
}

// named copies the bookkeeping; st is locked.
func (st *stream) named(name string) named {
	return named{name: name, id: st.id, created: st.created, sum: st.sum, first: st.first}
}

// describe is a stream as AWS shows it. AWS counts no bytes for single streams any more.
func (n named) describe(k groupKey) *api.LogStream {
	d := &api.LogStream{
		LogStreamName:       &n.name,
		CreationTime:        &n.created,
		Arn:                 new(groupARN(k.scope, k.name) + ":log-stream:" + n.name),
		StoredBytes:         new(int64(0)),
		UploadSequenceToken: new(sequenceToken(n.id, n.sum)),
	}
	if n.sum.events > 0 {
		d.FirstEventTimestamp = &n.first
		d.LastEventTimestamp = &n.sum.max
		d.LastIngestionTime = &n.sum.ingested
	}
	return d
}

// sequenceToken is what AWS still answers and no longer asks for: 56 digits that change with every PutLogEvents.
func sequenceToken(id uint64, sum totals) string {
	return fmt.Sprintf("4%019d%018d%018d", id, sum.events, sum.bytes)
}
