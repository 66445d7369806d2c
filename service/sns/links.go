package sns

import (
	"context"
	"encoding/xml"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
)

// LinksPath is where the links in messages lead to: the certificate, and those that confirm and unsubscribe.
const LinksPath = "/_enfold/sns/"

// Links serves what is below LinksPath, to anybody: a link proves itself by its token. What a link asks for is a call like others,
// by SNS itself.
type Links struct {
	Service *Service
	Doer    aws.Doer
}

// ServeHTTP implements http.Handler.
func (l Links) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	name := strings.TrimPrefix(r.URL.Path, LinksPath)
	if name != "" {
		l.certificate(w, r, name)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	q := r.URL.Query()
	switch q.Get("Action") {
	case "ConfirmSubscription":
		l.confirm(w, r, q.Get("TopicArn"), q.Get("Token"))
	case "Unsubscribe":
		l.unsubscribe(w, r, q.Get("SubscriptionArn"), q.Get("Token"))
	default:
		http.NotFound(w, r)
	}
}

// certificate serves the certificate of the key that signs.
func (l Links) certificate(w http.ResponseWriter, r *http.Request, name string) {
	if !strings.HasPrefix(name, "SimpleNotificationService-") {
		http.NotFound(w, r)
		return
	}
	signer, err := l.Service.getSigner(r.Context())
	if err != nil {
		l.Service.deps.Log.Error("certificate of SNS", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	if name != signer.name {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(signer.cert) // the client is gone: nothing to be done
}

// as is a context for a call by SNS itself in the account and Region of a topic.
func (l Links) as(r *http.Request, topic aws.ARN, id string) context.Context {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return aws.WithCall(r.Context(), &aws.Call{
		Principal: servicePrincipal, Account: topic.Account, Region: topic.Region, RequestID: id, SourceIP: host, UserAgent: r.UserAgent(),
		Secure: r.TLS != nil, SourceAccount: topic.Account, SourceArn: topic.String(),
	})
}

func (l Links) confirm(w http.ResponseWriter, r *http.Request, topic, token string) {
	id := uuid.NewString()
	a, err := api.ParseTopicARN("TopicArn", topic)
	if err != nil {
		writeError(w, id, err)
		return
	}
	out, err := api.NewClient(l.Doer).ConfirmSubscription(l.as(r, a, id), &api.ConfirmSubscriptionInput{TopicArn: new(a.String()), Token: &token})
	if err != nil {
		writeError(w, id, err)
		return
	}
	type result struct{ SubscriptionArn string }
	writeXML(w, http.StatusOK, struct {
		XMLName  xml.Name `xml:"http://sns.amazonaws.com/doc/2010-03-31/ ConfirmSubscriptionResponse"`
		Result   result   `xml:"ConfirmSubscriptionResult"`
		Metadata metadata `xml:"ResponseMetadata"`
	}{Result: result{value(out.SubscriptionArn)}, Metadata: metadata{id}})
}

func (l Links) unsubscribe(w http.ResponseWriter, r *http.Request, subscription, token string) {
	id := uuid.NewString()
	a, of, err := api.ParseSubscriptionARN(subscription)
	if err != nil {
		writeError(w, id, err)
		return
	}
	if t, ok := l.Service.openToken(token, toUnsubscribe, a); !ok || t.ID != of {
		writeError(w, id, invalid("Token"))
		return
	}
	if _, err := api.NewClient(l.Doer).Unsubscribe(l.as(r, a, id), &api.UnsubscribeInput{SubscriptionArn: &subscription}); err != nil {
		writeError(w, id, err)
		return
	}
	writeXML(w, http.StatusOK, struct {
		XMLName  xml.Name `xml:"http://sns.amazonaws.com/doc/2010-03-31/ UnsubscribeResponse"`
		Metadata metadata `xml:"ResponseMetadata"`
	}{Metadata: metadata{id}})
}

type metadata struct {
	RequestID string `xml:"RequestId"`
}

// writeError answers a refusal as SNS does.
func writeError(w http.ResponseWriter, id string, err error) {
	var e *aws.Error
	if !errors.As(err, &e) {
		e = aws.ErrInternalFailure.New("The request processing has failed because of an unknown error, exception or failure.")
	}
	type body struct{ Type, Code, Message string }
	code := e.Type.QueryCode
	if code == "" {
		code = e.Type.Code
	}
	kind := "Sender"
	if e.Type.Server {
		kind = "Receiver"
	}
	writeXML(w, e.Type.Status, struct {
		XMLName   xml.Name `xml:"http://sns.amazonaws.com/doc/2010-03-31/ ErrorResponse"`
		Error     body
		RequestID string `xml:"RequestId"`
	}{Error: body{kind, code, e.Message}, RequestID: id})
}

func writeXML(w http.ResponseWriter, status int, v any) {
	b, err := xml.Marshal(v)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client is gone: nothing to be done
}
