package sns

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
)

// tokenAge is how long a link to confirm a subscription works, and how long one waits for it.
const tokenAge = 48 * time.Hour

// token is what a link proves. It is sealed: only this server makes one.
type token struct {
	For     string // confirm, unsubscribe
	Topic   string // ARN
	ID      string // of the subscription
	Expires int64  `json:",omitempty"` // seconds since 1970; 0 for never
}

const (
	toConfirm     = "confirm"
	toUnsubscribe = "unsubscribe"
)

// maxToken is in bytes of its text.
const maxToken = 2048

func (s *Service) newToken(t token) string {
	b, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings and a number
	}
	return hex.EncodeToString(s.deps.Seal.Seal(b, []byte("sns token")))
}

// openToken answers false for what is no token of this kind and topic, or is too old.
func (s *Service) openToken(text, kind string, topic aws.ARN) (t token, ok bool) {
	if len(text) > maxToken {
		return t, false
	}
	sealed, err := hex.DecodeString(strings.ToLower(text))
	if err != nil {
		return t, false
	}
	b, err := s.deps.Seal.Open(sealed, []byte("sns token"))
	if err != nil || json.Unmarshal(b, &t) != nil {
		return t, false
	}
	return t, t.For == kind && t.Topic == topic.String() && (t.Expires == 0 || s.deps.Now().Unix() < t.Expires)
}

// confirmToken is the token that confirms a subscription, or restores it.
func (s *Service) confirmToken(sub *subscription) string {
	return s.newToken(token{For: toConfirm, Topic: sub.topic.String(), ID: sub.id, Expires: s.deps.Now().Add(tokenAge).Unix()})
}
