package sns

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// feedback are the attributes of delivery status logging, of each protocol that has it.
var feedback = []string{"SuccessFeedbackRoleArn", "FailureFeedbackRoleArn", "SuccessFeedbackSampleRate"}

// maxDisplayName is in characters.
const maxDisplayName = 100

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// isFeedback tells "HTTPSuccessFeedbackRoleArn" and its like.
func isFeedback(name string) bool {
	for _, protocol := range []string{"HTTP", "Firehose", "Lambda", "Application", "SQS"} {
		if rest, ok := strings.CutPrefix(name, protocol); ok && slices.Contains(feedback, rest) {
			return true
		}
	}
	return false
}

// printable says that a text has no characters that XML, in which it is answered, cannot have, nor line breaks.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffe || r == 0xffff })
}

// set takes an attribute of a topic. where begins the messages.
func (t *topic) set(name, v, where string) error {
	bad := func(what string) error { return invalid("%s%s", where, what) }
	boolean := func() error {
		if v != "true" && v != "false" {
			return bad(name + ": Invalid value [" + v + "]. Must be true or false.")
		}
		return nil
	}
	var err error
	switch {
	case name == "FifoTopic" && where != "":
		return nil // it is no attribute that can be set later
	case name == "DisplayName":
		if utf8.RuneCountInString(v) > maxDisplayName {
			err = bad("DisplayName: must be at most 100 characters long")
		}
		if !printable(v) {
			err = bad("DisplayName")
		}
	case name == "Policy":
		if v != "" {
			err = checkPolicy(v, where)
		}
	case name == "DeliveryPolicy":
		v, err = normalizeTopicPolicy(v, where)
	case name == "ContentBasedDeduplication":
		err = boolean()
	case name == "FifoThroughputScope":
		if v != "Topic" && v != "MessageGroup" {
			err = bad("FifoThroughputScope: Invalid value [" + v + "]. Must be Topic or MessageGroup.")
		}
	case name == "TracingConfig":
		if v != "PassThrough" && v != "Active" {
			err = bad("TracingConfig: Invalid value [" + v + "]. Must be PassThrough or Active.")
		}
	case name == "SignatureVersion":
		if v != "1" && v != "2" {
			err = bad("SignatureVersion: Invalid value [" + v + "]. Must be 1 or 2.")
		}
	case name == "KmsMasterKeyId":
		if len(v) > 2048 {
			err = bad("KmsMasterKeyId")
		}
	case name == "ArchivePolicy":
		if v != "" && v != "{}" {
			err = bad("ArchivePolicy: Enfold does not archive messages")
		}
		v = ""
	case isFeedback(name):
		if a, e := aws.ParseARN(v); strings.HasSuffix(name, "RoleArn") && v != "" && (e != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/")) {
			err = bad(name + ": must be the ARN of a role")
		}
		if n, e := strconv.Atoi(v); strings.HasSuffix(name, "SampleRate") && v != "" && (e != nil || n < 0 || n > 100) {
			err = bad(name + ": must be a whole number from 0 to 100")
		}
	case where != "":
		err = bad("Unknown attribute " + name)
	default:
		err = invalid("AttributeName")
	}
	if err != nil {
		return err
	}
	t.row.Attributes = maps.Clone(t.row.Attributes)
	if t.row.Attributes == nil {
		t.row.Attributes = map[string]string{}
	}
	if t.row.Attributes[name] = v; v == "" {
		delete(t.row.Attributes, name)
	}
	return nil
}

// check refuses what does not go with the kind of topic.
func (t *topic) check(where string) error {
	if !t.row.FIFO && (t.attribute("ContentBasedDeduplication") == "true" || t.attribute("FifoThroughputScope") != "") {
		return invalid("%sContent-based deduplication and FIFO throughput can only be set for FIFO topics", where)
	}
	return nil
}

// SetTopicAttributes sets an attribute of a topic.
func (s *Service) SetTopicAttributes(ctx context.Context, in *api.SetTopicAttributesInput) (*api.SetTopicAttributesOutput, error) {
	name, v := value(in.AttributeName), value(in.AttributeValue)
	if name == "KmsMasterKeyId" {
		if err := s.checkKey(v); err != nil {
			return nil, err
		}
	}
	if name == "Policy" {
		if err := s.checkPrincipals(ctx, v, ""); err != nil {
			return nil, err
		}
	}
	err := s.changeTopic(ctx, "TopicArn", in.TopicArn, func(_ store.Tx, t *topic) error {
		if err := t.set(name, v, ""); err != nil {
			return err
		}
		if name == "Policy" {
			t.row.PolicySet = s.deps.Now()
		}
		return t.check("")
	})
	return &api.SetTopicAttributesOutput{}, err
}

// checkKey refuses a key where nothing can use it.
func (s *Service) checkKey(key string) error {
	if key != "" && s.deps.KMS == nil {
		return invalid("KmsMasterKeyId Reason: there is no KMS")
	}
	return nil
}

// GetTopicAttributes answers all attributes of a topic.
func (s *Service) GetTopicAttributes(ctx context.Context, in *api.GetTopicAttributesInput) (*api.GetTopicAttributesOutput, error) {
	out := &api.GetTopicAttributesOutput{}
	err := s.viewTopic(ctx, "TopicArn", in.TopicArn, func(tx store.Tx, t *topic) error {
		c, err := t.counted(tx)
		if err != nil {
			return err
		}
		out.Attributes, err = t.shown(c)
		return err
	})
	return out, err
}

// shown are the attributes as AWS answers them.
func (t *topic) shown(c countRow) (map[string]string, error) {
	effective, err := json.Marshal(t.effectivePolicy())
	if err != nil {
		return nil, err
	}
	a := maps.Clone(t.row.Attributes)
	if a == nil {
		a = map[string]string{}
	}
	maps.Copy(a, map[string]string{
		"TopicArn": t.arn.String(), "Owner": t.scope.Account, "Policy": t.policy(), "DisplayName": t.attribute("DisplayName"),
		"SubscriptionsConfirmed": strconv.Itoa(c.Confirmed), "SubscriptionsPending": strconv.Itoa(c.Pending),
		"SubscriptionsDeleted": strconv.Itoa(c.Deleted), "EffectiveDeliveryPolicy": string(effective),
	})
	if t.row.FIFO {
		a["FifoTopic"] = "true"
		if a["ContentBasedDeduplication"] == "" {
			a["ContentBasedDeduplication"] = "false"
		}
	} else {
		delete(a, "ContentBasedDeduplication")
	}
	return a, nil
}
