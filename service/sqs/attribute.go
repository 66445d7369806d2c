package sqs

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/policy"
)

// The attributes of a queue.
const (
	attrPolicy       = "Policy"
	attrVisibility   = "VisibilityTimeout"
	attrMaxSize      = "MaximumMessageSize"
	attrRetention    = "MessageRetentionPeriod"
	attrVisible      = "ApproximateNumberOfMessages"
	attrInFlight     = "ApproximateNumberOfMessagesNotVisible"
	attrDelayed      = "ApproximateNumberOfMessagesDelayed"
	attrCreated      = "CreatedTimestamp"
	attrModified     = "LastModifiedTimestamp"
	attrARN          = "QueueArn"
	attrDelay        = "DelaySeconds"
	attrWait         = "ReceiveMessageWaitTimeSeconds"
	attrRedrive      = "RedrivePolicy"
	attrRedriveAllow = "RedriveAllowPolicy"
	attrFIFO         = "FifoQueue"
	attrContentDedup = "ContentBasedDeduplication"
	attrDedupScope   = "DeduplicationScope"
	attrThroughput   = "FifoThroughputLimit"
	attrKMSKey       = "KmsMasterKeyId"
	attrKMSReuse     = "KmsDataKeyReusePeriodSeconds"
	attrSSE          = "SqsManagedSseEnabled"
)

const (
	maxMessage = 1 << 20 // bytes of a message, and of a batch
	maxDelay   = 900     // seconds
	maxHidden  = 43_200  // seconds
	maxWait    = 20      // seconds

	scopeQueue, scopeGroup = "queue", "messageGroup"
	perQueue, perGroup     = "perQueue", "perMessageGroupId"
)

// settable are the attributes that requests may give, in the order in which they are compared.
var settable = []string{
	attrVisibility, attrMaxSize, attrRetention, attrDelay, attrWait, attrPolicy, attrRedrive, attrRedriveAllow, attrFIFO,
	attrContentDedup, attrDedupScope, attrThroughput, attrKMSKey, attrKMSReuse, attrSSE,
}

// number is an attribute that is a whole number.
type number struct{ least, most, usual int }

var numbers = map[string]number{
	attrVisibility: {0, maxHidden, 30}, attrMaxSize: {1024, maxMessage, maxMessage}, attrRetention: {60, 1_209_600, 345_600},
	attrDelay: {0, maxDelay, 0}, attrWait: {0, maxWait, 0}, attrKMSReuse: {60, 86_400, 300},
}

// settings are the attributes of a queue as operations use them. Times are in seconds.
type settings struct {
	visibility, maxSize, retention, delay, wait int
	fifo, contentDedup, dedupByGroup            bool
	redrive                                     *redrivePolicy // nil for none
	kmsKey                                      string
	kmsReuse                                    int
}

// settingsOf reads attributes that were checked when they were set.
func settingsOf(a map[string]string) settings {
	n := func(name string) int {
		if i, err := strconv.Atoi(a[name]); err == nil {
			return i
		}
		return numbers[name].usual
	}
	s := settings{
		visibility: n(attrVisibility), maxSize: n(attrMaxSize), retention: n(attrRetention), delay: n(attrDelay), wait: n(attrWait),
		fifo: a[attrFIFO] == "true", contentDedup: a[attrContentDedup] == "true", dedupByGroup: a[attrDedupScope] == scopeGroup,
		kmsKey: a[attrKMSKey], kmsReuse: n(attrKMSReuse),
	}
	if text := a[attrRedrive]; text != "" {
		s.redrive, _ = parseRedrive(text)
	}
	return s
}

// dated notes that the attributes given were set now.
func (r *queueRow) dated(given map[string]string, now time.Time) {
	r.Modified = now
	if _, ok := given[attrPolicy]; ok {
		r.PolicySet = now
	}
}

// set changes the attributes that are given. All are checked alone; what they say about other queues is not.
func (r *queueRow) set(given map[string]string, fifo, create bool) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		v := given[name]
		if err := checkAttribute(name, v, fifo, create); err != nil {
			return err
		}
		if v == "" {
			delete(r.Attributes, name)
		} else {
			r.Attributes[name] = v
		}
	}
	return r.checkTogether(given)
}

// checkTogether checks what attributes say together.
func (r *queueRow) checkTogether(given map[string]string) error {
	if r.Attributes[attrThroughput] == perGroup && r.Attributes[attrDedupScope] != scopeGroup {
		return api.ErrInvalidAttributeValue.New("Invalid value for the parameter FifoThroughputLimit. Reason: The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup.")
	}
	if r.Attributes[attrKMSKey] != "" && r.Attributes[attrSSE] == "true" {
		if given[attrKMSKey] != "" && given[attrSSE] == "true" {
			return api.ErrInvalidAttributeName.New("You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.")
		}
		if given[attrKMSKey] != "" {
			delete(r.Attributes, attrSSE)
		} else {
			delete(r.Attributes, attrKMSKey)
		}
	}
	return nil
}

// checkAttribute checks one attribute that a request gives. An empty one is taken away.
func checkAttribute(name, v string, fifo, create bool) error {
	if !slices.Contains(settable, name) {
		return api.ErrInvalidAttributeName.Withf("Unknown Attribute %s.", name)
	}
	bad := func(reason string) error {
		if reason != "" {
			reason = " Reason: " + reason
		}
		return api.ErrInvalidAttributeValue.Withf("Invalid value for the parameter %s.%s", name, reason)
	}
	switch name {
	case attrFIFO:
		if !fifo {
			return api.ErrInvalidAttributeName.New("Unknown Attribute FifoQueue.")
		}
		if !create || v != "true" {
			if v == "true" {
				return nil
			}
			return bad("Modifying queue type is not supported.")
		}
	case attrContentDedup:
		if !fifo {
			return api.ErrInvalidAttributeName.New("Unknown Attribute ContentBasedDeduplication.")
		}
		if v != "true" && v != "false" {
			return bad("")
		}
	case attrDedupScope, attrThroughput:
		if !fifo {
			return api.ErrInvalidAttributeName.Withf("You can specify the %s only when FifoQueue is set to true.", name)
		}
		if !slices.Contains([]string{scopeQueue, scopeGroup, perQueue, perGroup}, v) || (name == attrDedupScope) != (v == scopeQueue || v == scopeGroup) {
			return bad("")
		}
	case attrSSE:
		if v != "true" && v != "false" {
			return bad("")
		}
	case attrKMSKey:
		if len(v) > 2048 || strings.ContainsAny(v, " \n\t") {
			return bad("")
		}
	case attrPolicy:
		return checkPolicy(v)
	case attrRedrive:
		_, err := parseRedrive(v)
		return err
	case attrRedriveAllow:
		_, err := parseRedriveAllow(v)
		return err
	default:
		n, err := strconv.Atoi(v)
		if limits := numbers[name]; err != nil || n < limits.least || n > limits.most {
			return bad("")
		}
	}
	return nil
}

const maxPolicy = 8 << 10

var errPolicy = api.ErrInvalidAttributeValue.New("Invalid value for the parameter Policy.")

func checkPolicy(text string) error {
	if text == "" {
		return nil
	}
	if _, err := policy.Parse([]byte(text), policy.KindResource); err != nil || len(text) > maxPolicy {
		return errPolicy
	}
	return nil
}

// checkPrincipals refuses a policy that names a user or role who is not there.
func (s *Service) checkPrincipals(ctx context.Context, attributes map[string]string) error {
	p, err := policy.Parse([]byte(attributes[attrPolicy]), policy.KindResource)
	if s.exist == nil || err != nil { // there is none, or it is refused for what it is
		return nil
	}
	if ok, err := s.exist(ctx, p.AWSPrincipals()); ok || err != nil {
		return err
	}
	return errPolicy
}

// compile makes the queue's policy ready to be evaluated.
func (q *queue) compile() error {
	text := q.row.Attributes[attrPolicy]
	if text == "" {
		return nil
	}
	p, err := policy.Parse([]byte(text), policy.KindResource)
	if err != nil {
		return err
	}
	q.policy = &policy.ResourceGrants{Policies: []policy.Named{{Name: "policy of " + q.arn(), Set: q.row.PolicySet, Policy: p}}}
	return nil
}

// attribute is an attribute as GetQueueAttributes answers it; empty if the queue has none, or it is a count.
func (q *queue) attribute(name string) string {
	if v := q.row.Attributes[name]; v != "" {
		if name == attrRedrive {
			return shownRedrive(v)
		}
		return v
	}
	switch name {
	case attrARN:
		return q.arn()
	case attrCreated:
		return strconv.FormatInt(q.row.Created.Unix(), 10)
	case attrModified:
		return strconv.FormatInt(q.row.Modified.Unix(), 10)
	case attrSSE:
		return strconv.FormatBool(q.kmsKey == "")
	case attrKMSReuse:
		if q.kmsKey == "" {
			return ""
		}
	case attrContentDedup, attrDedupScope, attrThroughput:
		if !q.fifo {
			return ""
		}
		return map[string]string{attrContentDedup: "false", attrDedupScope: scopeQueue, attrThroughput: perQueue}[name]
	}
	if n, ok := numbers[name]; ok {
		return strconv.Itoa(n.usual)
	}
	return ""
}

// sameAttribute compares two values; JSON by what it says.
func sameAttribute(a, b string) bool {
	if a == b {
		return true
	}
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// readable are the attributes that GetQueueAttributes answers.
var readable = append([]string{attrARN, attrVisible, attrInFlight, attrDelayed, attrCreated, attrModified}, settable...)

func wantedAttributes(names []string) ([]string, error) {
	var all []string
	for _, n := range names {
		if n == "All" {
			return readable, nil
		}
		if !slices.Contains(readable, n) {
			return nil, api.ErrInvalidAttributeName.Withf("Unknown Attribute %s.", n)
		}
		all = append(all, n)
	}
	return all, nil
}

func countsWanted(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return n == attrVisible || n == attrInFlight || n == attrDelayed })
}
