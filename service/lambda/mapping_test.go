package lambda

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/event"
)

func TestMappingFeeds(t *testing.T) {
	inFedBubble(t, nil, func(t *testing.T, w *fed) {
		id := w.mapped()
		w.queue.put(ids(0, 25)...)
		time.Sleep(time.Minute)
		if got := w.queue.done(); !slices.Equal(got, ids(0, 25)) {
			t.Errorf("done are %v", got)
		}
		for _, b := range w.seen() {
			if len(b) > 10 {
				t.Errorf("a batch of %d", len(b))
			}
		}
		if _, err := w.DeleteEventSourceMapping(w.ctx, &api.DeleteEventSourceMappingInput{UUID: &id}); err != nil {
			t.Fatal(err)
		}
		w.until(id, "")
		w.queue.put("late")
		time.Sleep(time.Hour)
		if got := w.queue.done(); len(got) != 25 {
			t.Errorf("a deleted mapping was fed: %v", got)
		}
	})
}

func TestMappingShown(t *testing.T) {
	inFedBubble(t, nil, func(t *testing.T, w *fed) {
		out, err := w.CreateEventSourceMapping(w.ctx, &api.CreateEventSourceMappingInput{FunctionName: new("f"), EventSourceArn: new(queueArn)})
		if err != nil {
			t.Fatal(err)
		}
		id := *out.UUID
		got := strings.ReplaceAll(toJSON(t, out), id, "ID")
		want := `{"BatchSize": 10, "EventSourceArn": "` + queueArn + `", "EventSourceMappingArn": "arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:ID",
			"FunctionArn": "` + fnArn + `f", "FunctionResponseTypes": [], "LastModified": "<time>", "MaximumBatchingWindowInSeconds": 0,
			"State": "Creating", "StateTransitionReason": "USER_INITIATED", "UUID": "ID"}`
		var a, b any
		if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
			t.Fatal(got)
		}
		a.(map[string]any)["LastModified"], a.(map[string]any)["UUID"] = "<time>", "ID"
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("got %v\nwant %v", a, b)
		}
		list, err := w.ListEventSourceMappings(w.ctx, &api.ListEventSourceMappingsInput{FunctionName: new("f"), EventSourceArn: new(queueArn)})
		if err != nil || len(list.EventSourceMappings) != 1 {
			t.Errorf("the list is %v, %v", list, err)
		}
		list, err = w.ListEventSourceMappings(w.ctx, &api.ListEventSourceMappingsInput{EventSourceArn: new(queueArn + "2")})
		if err != nil || len(list.EventSourceMappings) != 0 {
			t.Errorf("the list of another queue is %v, %v", list, err)
		}
		arn := out.EventSourceMappingArn
		if _, err := w.TagResource(w.ctx, &api.TagResourceInput{Resource: arn, Tags: map[string]string{"a": "1", "b": "2"}}); err != nil {
			t.Error(err)
		}
		if _, err := w.UntagResource(w.ctx, &api.UntagResourceInput{Resource: arn, TagKeys: []string{"b"}}); err != nil {
			t.Error(err)
		}
		if tags, err := w.ListTags(w.ctx, &api.ListTagsInput{Resource: arn}); err != nil || fmt.Sprint(tags.Tags) != "map[a:1]" {
			t.Errorf("the tags are %v, %v", tags, err)
		}
	})
}

func TestMappingFailures(t *testing.T) {
	tries := 0
	inFedBubble(t, func([]string) string {
		if tries++; tries < 3 {
			return "fail"
		}
		return "null"
	}, func(t *testing.T, w *fed) {
		w.mapped()
		begun := time.Now()
		w.queue.put("a")
		time.Sleep(2 * time.Minute)
		if got := w.queue.done(); !slices.Equal(got, []string{"a"}) || len(w.seen()) != 3 {
			t.Errorf("done are %v after %d tries in %v", got, len(w.seen()), time.Since(begun))
		}
	})
}

func TestMappingPartialFailures(t *testing.T) {
	for _, c := range []struct {
		answer string
		done   []string // after the first try
	}{
		{`{"batchItemFailures":[{"itemIdentifier":"m001"}]}`, []string{"m000", "m002"}},
		{`{"batchItemFailures":[]}`, ids(0, 3)},
		{`{"batchItemFailures":null}`, ids(0, 3)},
		{`null`, ids(0, 3)},
		{`{}`, ids(0, 3)},
		{`{"batchItemFailures":[{"itemIdentifier":""}]}`, nil},
		{`{"batchItemFailures":[{"itemIdentifier":null}]}`, nil},
		{`{"batchItemFailures":[{"messageId":"m001"}]}`, nil},
		{`{"batchItemFailures":[{"itemIdentifier":"other"}]}`, nil},
		{`[1`, nil},
		{`fail`, nil},
	} {
		t.Run(c.answer, func(t *testing.T) {
			inFedBubble(t, func([]string) string { return c.answer }, func(t *testing.T, w *fed) {
				w.mapped(func(in *api.CreateEventSourceMappingInput) {
					in.FunctionResponseTypes = []string{api.FunctionResponseTypeReportBatchItemFailures}
				})
				w.queue.put(ids(0, 3)...)
				time.Sleep(20 * time.Second)
				if got := w.queue.done(); !slices.Equal(got, c.done) {
					t.Errorf("done are %v, want %v", got, c.done)
				}
			})
		})
	}
}

func TestMappingFilters(t *testing.T) {
	inFedBubble(t, nil, func(t *testing.T, w *fed) {
		w.mapped(func(in *api.CreateEventSourceMappingInput) {
			in.FilterCriteria = &api.FilterCriteria{Filters: []*api.Filter{
				{Pattern: new(`{"body":{"id":["m001"]}}`)}, {Pattern: new(`{"body":{"id":[{"suffix":"3"}]}}`)},
			}}
		})
		w.queue.put(ids(0, 5)...)
		time.Sleep(20 * time.Second)
		if got := w.seen(); len(got) != 1 || !slices.Equal(got[0], []string{"m001", "m003"}) {
			t.Errorf("the function got %v", got)
		}
		if got := w.queue.done(); !slices.Equal(got, ids(0, 5)) {
			t.Errorf("done are %v: what no filter wants is removed", got)
		}
	})
}

func TestMappingWindow(t *testing.T) {
	inFedBubble(t, nil, func(t *testing.T, w *fed) {
		w.mapped(func(in *api.CreateEventSourceMappingInput) {
			in.BatchSize, in.MaximumBatchingWindowInSeconds = new(100), new(30)
		})
		time.Sleep(2 * time.Second) // a mapping that was read while it was made is read anew, and its first batch is not gathered on
		for i := range 5 {
			w.queue.put(ids(10*i, 10*i+10)...)
			time.Sleep(2 * time.Second)
		}
		time.Sleep(time.Minute)
		if got := w.seen(); len(got) != 1 || len(got[0]) != 50 {
			t.Errorf("the batches are %v", got)
		}
	})
}

// A window is as long as it says, however short the queue's visibility timeout is: what is gathered is kept from others for as long as
// that and the function take, whenever in the window it came.
func TestMappingWindowIsHonoured(t *testing.T) {
	for _, c := range []struct {
		lease           time.Duration
		timeout, window int
		messages        int
		every           time.Duration
	}{
		{30 * time.Second, 3, 60, 3, 0},
		{3 * time.Second, 2, 8, 12, 300 * time.Millisecond},
		{10 * time.Second, 2, 300, 30, 9 * time.Second},
	} {
		inFedBubble(t, nil, func(t *testing.T, w *fed) {
			w.queue.lease = c.lease
			must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), Timeout: &c.timeout}))(t)
			w.wait("f")
			w.mapped(func(in *api.CreateEventSourceMappingInput) {
				in.BatchSize, in.MaximumBatchingWindowInSeconds = new(100), &c.window
			})
			time.Sleep(2 * time.Second) // as above
			window := time.Duration(c.window) * time.Second
			begun := time.Now()
			for _, id := range ids(0, c.messages) {
				w.queue.put(id)
				time.Sleep(c.every)
			}
			time.Sleep(time.Until(begun.Add(window - time.Second/2)))
			if got := w.seen(); len(got) != 0 {
				t.Errorf("%v: before the window is over, the function got %v", c, got)
			}
			time.Sleep(time.Hour)
			if got := w.seen(); len(got) != 1 || len(got[0]) != c.messages || w.queue.receives()[1] != c.messages {
				t.Errorf("%v: the batches are %v; received so often: %v", c, got, w.queue.receives())
			}
		})
	}
}

func TestMappingConcurrency(t *testing.T) {
	inFedBubble(t, nil, func(t *testing.T, w *fed) {
		w.mapped(func(in *api.CreateEventSourceMappingInput) {
			in.BatchSize, in.ScalingConfig = new(1), &api.ScalingConfig{MaximumConcurrency: new(3)}
		})
		w.queue.put(ids(0, 90)...)
		time.Sleep(2 * time.Minute)
		if got := w.queue.done(); len(got) != 90 || w.most != 3 {
			t.Errorf("%d are done, %d ran at once, want 90 and 3", len(got), w.most)
		}
	})
	inFedBubble(t, nil, func(t *testing.T, w *fed) {
		w.mapped(func(in *api.CreateEventSourceMappingInput) { in.BatchSize = new(1) })
		w.queue.put(ids(0, 400)...)
		time.Sleep(2 * time.Minute)
		if got := w.queue.done(); len(got) != 400 || w.most < 20 {
			t.Errorf("%d are done, %d ran at once, want 400 and more than twenty", len(got), w.most)
		}
	})
}

// TestProvisionedPollers: a poller is good for ten batches at once. What is not given of the mode is AWS's default, and it ends when
// it is set to nothing.
func TestProvisionedPollers(t *testing.T) {
	inFedBubble(t, nil, func(t *testing.T, w *fed) {
		id := w.mapped(func(in *api.CreateEventSourceMappingInput) {
			in.BatchSize, in.ProvisionedPollerConfig = new(1), &api.ProvisionedPollerConfig{MaximumPollers: new(3)}
		})
		w.queue.put(ids(0, 200)...)
		time.Sleep(2 * time.Minute)
		if got := w.queue.done(); len(got) != 200 || w.most != 30 {
			t.Errorf("%d are done, %d ran at once, want 200 and 30", len(got), w.most)
		}
		for _, c := range []struct{ given, want string }{
			{`{}`, ""},
			{`{"MinimumPollers":7}`, "7 200"},
			{`{"MaximumPollers":8}`, "7 8"},
			{`{"MinimumPollers":9}`, "400 InvalidParameterValueException: MinimumPollers cannot be greater than MaximumPollers."},
			{`{"MinimumPollers":1}`, "400 InvalidParameterValueException: MinimumPollers must be at least 2."},
			{`{"MaximumPollers":1}`, "400 InvalidParameterValueException: MaximumPollers must be at least 2."},
			{`{"PollerGroupName":"g"}`, "400 InvalidParameterValueException: Unsupported PollerGroupName parameter for given event source mapping type."},
		} {
			in := &api.UpdateEventSourceMappingInput{UUID: &id, ProvisionedPollerConfig: &api.ProvisionedPollerConfig{}}
			if err := json.Unmarshal([]byte(c.given), in.ProvisionedPollerConfig); err != nil {
				t.Fatal(err)
			}
			got := ""
			out, err := w.UpdateEventSourceMapping(w.ctx, in)
			switch {
			case err != nil:
				got = coded(err)
			case out.ProvisionedPollerConfig != nil:
				got = fmt.Sprint(*out.ProvisionedPollerConfig.MinimumPollers, *out.ProvisionedPollerConfig.MaximumPollers)
			}
			if got != c.want {
				t.Errorf("%s: got %q, want %q", c.given, got, c.want)
			}
			w.until(id, mappingEnabled)
		}
		_, err := w.UpdateEventSourceMapping(w.ctx, &api.UpdateEventSourceMappingInput{UUID: &id, ScalingConfig: &api.ScalingConfig{MaximumConcurrency: new(2)}})
		if got := coded(err); got != "400 InvalidParameterValueException: ScalingConfig and ProvisionedPollerConfig cannot both be set." {
			t.Errorf("both: %s", got)
		}
	})
}

func TestMappingUpdates(t *testing.T) {
	inFedBubble(t, nil, func(t *testing.T, w *fed) {
		id := w.mapped()
		out, err := w.UpdateEventSourceMapping(w.ctx, &api.UpdateEventSourceMappingInput{UUID: &id, Enabled: new(false)})
		if err != nil || *out.State != mappingDisabling {
			t.Fatalf("got %v, %v", out, err)
		}
		w.until(id, mappingDisabled)
		w.queue.put("a")
		time.Sleep(time.Minute)
		if len(w.seen()) != 0 {
			t.Error("a disabled mapping was fed")
		}
		out, err = w.UpdateEventSourceMapping(w.ctx, &api.UpdateEventSourceMappingInput{UUID: &id, Enabled: new(true), BatchSize: new(5)})
		if err != nil || *out.State != mappingEnabling || *out.BatchSize != 5 {
			t.Fatalf("got %v, %v", out, err)
		}
		time.Sleep(time.Minute)
		if got := w.queue.done(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("done are %v", got)
		}
		w.end()
		w.start()
		w.queue.put("b")
		time.Sleep(time.Minute)
		if got := w.queue.done(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("after a restart, done are %v", got)
		}
	})
}

func TestMappingRefusals(t *testing.T) {
	w := newWorld(t)
	q := newQueue()
	w.feedFrom(q)
	w.create("f", func(in *api.CreateFunctionInput) { in.Timeout = new(31) })
	w.create("g")
	try := func(change func(*api.CreateEventSourceMappingInput)) string {
		in := &api.CreateEventSourceMappingInput{FunctionName: new("g"), EventSourceArn: new(queueArn)}
		change(in)
		_, err := w.CreateEventSourceMapping(w.ctx, in)
		return coded(err)
	}
	for _, c := range []struct {
		want   string
		change func(*api.CreateEventSourceMappingInput)
	}{
		{"400 InvalidParameterValueException: Function does not exist", func(in *api.CreateEventSourceMappingInput) { in.FunctionName = new("h") }},
		{"400 InvalidParameterValueException: Unrecognized event source.", func(in *api.CreateEventSourceMappingInput) {
			in.EventSourceArn = new("arn:aws:s3:::b")
		}},
		{"400 InvalidParameterValueException: Event sources of kinesis are not served by Enfold yet.", func(in *api.CreateEventSourceMappingInput) {
			in.EventSourceArn = new("arn:aws:kinesis:eu-west-1:123456789012:stream/s")
		}},
		{"400 InvalidParameterValueException: Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds", func(in *api.CreateEventSourceMappingInput) {
			in.FunctionName = new("f")
		}},
		{
			"400 InvalidParameterValueException: Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
			func(in *api.CreateEventSourceMappingInput) { in.BatchSize = new(11) },
		},
		{"400 InvalidParameterValueException: Invalid filter pattern definition.", func(in *api.CreateEventSourceMappingInput) {
			in.FilterCriteria = &api.FilterCriteria{Filters: []*api.Filter{{Pattern: new(`{"body":"x"}`)}}}
		}},
		{
			"400 InvalidParameterValueException: Unsupported DestinationConfig parameter for given event source mapping type.",
			func(in *api.CreateEventSourceMappingInput) { in.DestinationConfig = &api.DestinationConfig{} },
		},
	} {
		if got := try(c.change); got != c.want {
			t.Errorf("got %s\nwant %s", got, c.want)
		}
	}
	q.refuse = event.Refusal("No.")
	if got := try(func(*api.CreateEventSourceMappingInput) {}); got != "400 InvalidParameterValueException: No." {
		t.Errorf("got %s", got)
	}
	q.refuse = nil
	out, err := w.CreateEventSourceMapping(w.ctx, &api.CreateEventSourceMappingInput{FunctionName: new("g"), EventSourceArn: new(queueArn)})
	if err != nil {
		t.Fatal(err)
	}
	// Nothing feeds here, so it stays as it is.
	if _, err := w.UpdateEventSourceMapping(w.ctx, &api.UpdateEventSourceMappingInput{UUID: out.UUID}); !strings.HasPrefix(coded(err), "400 ResourceInUseException") {
		t.Errorf("an update while it is made: %s", coded(err))
	}
	if _, err := w.DeleteEventSourceMapping(w.ctx, &api.DeleteEventSourceMappingInput{UUID: out.UUID}); !strings.HasPrefix(coded(err), "400 ResourceInUseException") {
		t.Errorf("a deletion while it is made: %s", coded(err))
	}
	if got := try(func(*api.CreateEventSourceMappingInput) {}); !strings.HasPrefix(got,
		`409 ResourceConflictException: An event source mapping with SQS arn (" `+queueArn+` ") and function (" g ") already exists. Please update or delete`) {
		t.Errorf("got %s", got)
	}
	if _, err := w.GetEventSourceMapping(w.ctx, &api.GetEventSourceMappingInput{UUID: new("nope")}); coded(err) !=
		"404 ResourceNotFoundException: The resource you requested does not exist." {
		t.Errorf("got %s", coded(err))
	}
}

func FuzzBatchFailures(f *testing.F) {
	for _, s := range []string{`{"batchItemFailures":[{"itemIdentifier":"a"}]}`, `null`, `{"batchItemFailures":[{}]}`, `[`, `{"batchItemFailures":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		failed, err := batchFailures(answer, []event.Record{{ID: "a"}, {ID: "b"}})
		if err != nil {
			return
		}
		for id := range failed {
			if id != "a" && id != "b" {
				t.Errorf("%q is no item", id)
			}
		}
	})
}
