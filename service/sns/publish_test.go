package sns

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	kmsapi "github.com/enfold-run/enfold/api/kms"
	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/store"
)

func text(kind, v string) *api.MessageAttributeValue {
	return &api.MessageAttributeValue{DataType: &kind, StringValue: &v}
}

func TestPublishRefuses(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	fifo := w.topic("f.fifo", map[string]string{"FifoTopic": "true"})
	const p, v = "InvalidParameter: Invalid parameter: ", "ParameterValueInvalid: "
	with := func(name string, a *api.MessageAttributeValue) api.PublishInput {
		return api.PublishInput{TopicArn: &topic, Message: new("x"), MessageAttributes: map[string]*api.MessageAttributeValue{name: a}}
	}
	for _, c := range []struct {
		name string
		in   api.PublishInput
		want string
	}{
		{"no text", api.PublishInput{TopicArn: &topic, Message: new("")}, p + "Empty message"},
		{"no topic", api.PublishInput{TopicArn: new(topic + "x"), Message: new("x")}, "NotFound: Topic does not exist"},
		{"another Region", api.PublishInput{TopicArn: new(strings.Replace(topic, region, "eu-west-1", 1)), Message: new("x")}, p + "TopicArn"},
		{"a telephone", api.PublishInput{PhoneNumber: new("+15551234567"), Message: new("x")}, p + "PhoneNumber Reason: Enfold does not send SMS"},
		{"an app", api.PublishInput{TargetArn: new("arn:aws:sns:us-east-1:111122223333:endpoint/GCM/a/b"), Message: new("x")}, p + "TargetArn Reason: No endpoint found for the target arn specified"},
		{"empty subject", api.PublishInput{TopicArn: &topic, Message: new("x"), Subject: new("")}, p + "Subject"},
		{"a line break in the subject", api.PublishInput{TopicArn: &topic, Message: new("x"), Subject: new("a\r\nBcc: b")}, p + "Subject"},
		{"too long", api.PublishInput{TopicArn: &topic, Message: new(strings.Repeat("x", maxMessage+1))}, p + "Message too long"},
		{"too long with attributes", api.PublishInput{TopicArn: &topic, Message: new(strings.Repeat("x", maxMessage)), MessageAttributes: map[string]*api.MessageAttributeValue{"a": text("String", "b")}}, p + "Message too long"},
		{"structure", api.PublishInput{TopicArn: &topic, Message: new("x"), MessageStructure: new("xml")}, p + "Invalid MessageStructure"},
		{"no JSON", api.PublishInput{TopicArn: &topic, Message: new("{x"), MessageStructure: new("json")}, p + "Message Structure - JSON message body failed to parse"},
		{"no default", api.PublishInput{TopicArn: &topic, Message: new(`{"sqs":"x"}`), MessageStructure: new("json")}, p + "Message Structure - No default entry in JSON message body"},
		{"default is no text", api.PublishInput{TopicArn: &topic, Message: new(`{"default":{}}`), MessageStructure: new("json")}, p + "Message Structure - No default entry in JSON message body"},
		{"deduplication of a standard topic", api.PublishInput{TopicArn: &topic, Message: new("x"), MessageDeduplicationID: new("d")}, p + "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type"},
		{"no group", api.PublishInput{TopicArn: &fifo, Message: new("x")}, p + "The MessageGroupId parameter is required for FIFO topics"},
		{"no deduplication", api.PublishInput{TopicArn: &fifo, Message: new("x"), MessageGroupID: new("g")}, p + "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"},
		{"attribute without a value", with("attr1", &api.MessageAttributeValue{DataType: new("String")}), v + "The message attribute 'attr1' must contain non-empty message attribute value for message attribute type 'String'."},
		{"attribute with an empty value", with("attr1", text("String", "")), v + "The message attribute 'attr1' must contain non-empty message attribute value for message attribute type 'String'."},
		{"bytes for text", with("attr1", &api.MessageAttributeValue{DataType: new("Number"), BinaryValue: []byte{1}}), v + "The message attribute 'attr1' with type 'Number' must use field 'String'."},
		{"text for bytes", with("attr1", text("Binary", "x")), v + "The message attribute 'attr1' with type 'Binary' must use field 'Binary'."},
		{"unknown type", with("attr1", text("InvalidType", "x")), v + "The message attribute 'attr1' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."},
		{"long name", with(strings.Repeat("a", 257), text("String", "x")), v + "Length of message attribute name must be less than 256 bytes."},
		{"name with a hat", with("^invalid", text("String", "x")), v + "Invalid non-alphanumeric character '#x5E' was found in the message attribute name. Can only include alphanumeric characters, hyphens, underscores, or dots."},
		{"dot before", with(".invalid", text("String", "x")), v + "Invalid message attribute name starting with character '.' was found."},
		{"dot behind", with("invalid.", text("String", "x")), v + "Invalid message attribute name ending with character '.' was found."},
		{"two dots", with("inv..alid", text("String", "x")), v + "Message attribute name can not have successive '.' character."},
		{"no number", with("n", text("Number", "0x10")), v + "Could not cast message attribute 'n' value to number."},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.Publish(w.ctx, &c.in)
			refusal(t, err, c.want)
		})
	}
}

func TestPublishBatch(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	w.subscribe(topic, "sqs", queue, map[string]string{"RawMessageDelivery": "true"})
	entry := func(id, text string) *api.PublishBatchRequestEntry {
		return &api.PublishBatchRequestEntry{ID: &id, Message: &text}
	}
	batch := func(entries ...*api.PublishBatchRequestEntry) (*api.PublishBatchOutput, error) {
		return w.PublishBatch(w.ctx, &api.PublishBatchInput{TopicArn: &topic, PublishBatchRequestEntries: entries})
	}
	out := must(batch(entry("1", "a"), entry("2", ""), entry("3", "c")))(t)
	if len(out.Successful) != 2 || *out.Successful[1].ID != "3" || len(out.Failed) != 1 || *out.Failed[0].ID != "2" || *out.Failed[0].Code != "InvalidParameter" ||
		*out.Failed[0].Message != "Invalid parameter: Empty message" || !*out.Failed[0].SenderFault {
		t.Errorf("%+v", out)
	}
	if got := w.run(count(2)); len(got) != 2 {
		t.Errorf("%d messages", len(got))
	}
	var many []*api.PublishBatchRequestEntry
	for i := range 11 {
		many = append(many, entry(strconv.Itoa(i), "x"))
	}
	for want, entries := range map[string][]*api.PublishBatchRequestEntry{
		"EmptyBatchRequest: The batch request doesn't contain any entries.":                                                                                               nil,
		"TooManyEntriesInBatchRequest: The batch request contains more entries than permissible.":                                                                         many,
		"BatchEntryIdsNotDistinct: Two or more batch entries in the request have the same Id.":                                                                            {entry("1", "a"), entry("1", "b")},
		"InvalidBatchEntryId: The Id of a batch entry in the batch request contains an impermissible character: message.id":                                               {entry("message.id", "x")},
		"InvalidBatchEntryId: The Id of a batch entry in the batch request is too long: " + strings.Repeat("a", 81):                                                       {entry(strings.Repeat("a", 81), "x")},
		"BatchRequestTooLong: The length of all the messages put together is more than the limit.":                                                                        {entry("1", strings.Repeat("x", maxMessage)), entry("2", "x")},
		"InvalidParameter: Invalid parameter: Message Structure - No default entry in JSON message body":                                                                  {{ID: new("1"), Message: new("{}"), MessageStructure: new("json")}},
		"InvalidParameter: Invalid parameter: MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type": {{ID: new("1"), Message: new("x"), MessageDeduplicationID: new("d")}},
	} {
		_, err := batch(entries...)
		refusal(t, err, want)
	}
}

// TestDeduplication publishes the same once more: within five minutes it is the first.
func TestDeduplication(t *testing.T) {
	w := newWorld(t)
	begin := time.Now().Add(-time.Hour)
	w.set(begin)
	topic := w.topic("f.fifo", map[string]string{"FifoTopic": "true", "ContentBasedDeduplication": "true"})
	w.subscribe(topic, "sqs", queue+".fifo", map[string]string{"RawMessageDelivery": "true"})
	publish := func(group, text string, dedup *string) *api.PublishOutput {
		return must(w.Publish(w.ctx, &api.PublishInput{TopicArn: &topic, Message: &text, MessageGroupID: &group, MessageDeduplicationID: dedup}))(t)
	}
	first := publish("g", "a", nil)
	for _, same := range []*api.PublishOutput{publish("g", "a", nil), publish("h", "a", nil)} {
		if *same.MessageID != *first.MessageID || *same.SequenceNumber != *first.SequenceNumber {
			t.Errorf("once more it is %s %s", *same.MessageID, *same.SequenceNumber)
		}
	}
	second := publish("g", "a", new("own"))
	if *second.SequenceNumber <= *first.SequenceNumber || len(*first.SequenceNumber) != 20 {
		t.Errorf("%s after %s", *second.SequenceNumber, *first.SequenceNumber)
	}
	w.set(begin.Add(dedupTime - time.Second))
	publish("g", "a", nil)
	w.set(begin.Add(dedupTime))
	third := publish("g", "a", nil)
	if *third.MessageID == *first.MessageID {
		t.Error("after five minutes it is still the same")
	}
	if _, err := w.SetTopicAttributes(w.ctx, &api.SetTopicAttributesInput{TopicArn: &topic, AttributeName: new("FifoThroughputScope"), AttributeValue: new("MessageGroup")}); err != nil {
		t.Fatal(err)
	}
	publish("i", "a", nil)
	ids := map[string][]string{}
	for _, m := range w.run(count(4)) {
		ids[m.GroupID] = append(ids[m.GroupID], m.DedupID)
	}
	const hash = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
	if want := fmt.Sprintf("map[g:[%[1]s own %[1]s] i:[%[1]s]]", hash); fmt.Sprint(ids) != want {
		t.Errorf("deduplication ids %v, want %s", ids, want)
	}
	// A topic of the same name that is made anew knows nothing of the old one's messages.
	old := publish("z", "same", nil)
	must(w.DeleteTopic(w.ctx, &api.DeleteTopicInput{TopicArn: &topic}))(t)
	w.topic("f.fifo", map[string]string{"FifoTopic": "true", "ContentBasedDeduplication": "true"})
	if anew := publish("z", "same", nil); *anew.MessageID == *old.MessageID {
		t.Error("a new topic takes a message for one of the old topic's")
	}
	// What is too old is forgotten as new messages come.
	w.set(begin.Add(time.Hour))
	for i := range 10 {
		publish("g", strconv.Itoa(i), nil)
	}
	for _, name := range []string{duplicates.Name, ages.Name} {
		rows := 0
		err := w.db.View(t.Context(), func(tx store.Tx) error {
			rows = 0
			for _, err := range tx.Scan(name, store.Scope{Account: account, Region: region}, store.Range{}) {
				if err != nil {
					return err
				}
				rows++
			}
			return nil
		})
		if err != nil || rows != 10 {
			t.Errorf("%s has %d rows: %v", name, rows, err)
		}
	}
}

func TestKMS(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", map[string]string{"KmsMasterKeyId": "alias/k"})
	w.publish(topic, "x")
	w.publish(topic, "y") // with the same data key
	if fmt.Sprint(w.keys) != "[alias/k "+topic+"]" {
		t.Errorf("keys %v", w.keys)
	}
	for i, c := range []struct {
		deny error
		want string
	}{
		{kmsapi.ErrNotFound.New("Alias is not found."), "KMSNotFound: Alias is not found."},
		{kmsapi.ErrDisabled.New("it is disabled"), "KMSDisabled: it is disabled"},
		{kmsapi.ErrKMSInvalidState.New("pending deletion"), "KMSInvalidState: pending deletion"},
	} {
		topic := w.topic(fmt.Sprint("t", i), map[string]string{"KmsMasterKeyId": "alias/k"})
		w.deny = c.deny
		_, err := w.Publish(w.ctx, &api.PublishInput{TopicArn: &topic, Message: new("x")})
		refusal(t, err, c.want)
	}
}

// FuzzAttributes holds that what is accepted can be sent on.
func FuzzAttributes(f *testing.F) {
	f.Add("name", "String", "value", []byte(nil))
	f.Add("a.b", "Number.x", "1e5", []byte(nil))
	f.Add("b", "Binary", "", []byte{1})
	f.Add("l", "String.Array", `["a",1,null,{"x":1}]`, []byte(nil))
	f.Fuzz(func(t *testing.T, name, kind, value string, binary []byte) {
		v := &api.MessageAttributeValue{DataType: &kind, BinaryValue: binary}
		if value != "" {
			v.StringValue = &value
		}
		all, size, err := readAttributes(map[string]*api.MessageAttributeValue{name: v})
		if err != nil {
			return
		}
		a := all[name]
		if size <= 0 || !utf8.ValidString(name) || a.IsBinary() != (len(a.Bytes) > 0) || a.IsBinary() == (a.Text != "") {
			t.Errorf("%q %q %q %v: %d %+v", name, kind, value, binary, size, a)
		}
		m := &message{Attributes: all, Type: typeNotification}
		filterable(m)
		body, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeMessage(body)
		if err != nil || fmt.Sprint(again.Attributes) != fmt.Sprint(all) {
			t.Errorf("%v comes back as %v: %v", all, again.Attributes, err)
		}
		if _, err := m.envelope(links{}); err != nil {
			t.Error(err)
		}
	})
}
