package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/gateway"
	"github.com/enfold-run/enfold/service/iam"
	"github.com/enfold-run/enfold/sigv4"
)

// AccountsPath is where the root user of the server's first account makes and lists accounts: what AWS Organizations does,
// without an organization.
const AccountsPath = "/_enfold/accounts"

// Account is an AWS account of this server.
type Account struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// AccessKeyID and SecretAccessKey are of its root user, told once, when it is made.
	AccessKeyID     string `json:"accessKeyId,omitempty"`
	SecretAccessKey string `json:"secretAccessKey,omitempty"`
}

// accountKeeper keeps accounts: IAM.
type accountKeeper interface {
	CreateAccount(ctx context.Context, name string) (id, accessKeyID, secret string, err error)
	Accounts(ctx context.Context) ([]iam.Account, error)
}

// accountsHandler serves AccountsPath.
type accountsHandler struct {
	verifier *sigv4.Verifier
	guard    *gateway.Guard
	first    string // the account whose root user may ask
	keeper   accountKeeper
	log      *slog.Logger
}

const maxAccountBody = 4 << 10

// accountName is what AWS Organizations allows, in ASCII.
var accountName = aws.Pattern(`^[ -~]{1,50}$`)

func (h *accountsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAccountBody))
	if err != nil {
		http.Error(w, "The request is too large.", http.StatusRequestEntityTooLarge)
		return
	}
	id, err := h.guard.Verify(h.verifier, r, body)
	if errors.Is(err, aws.ErrThrottling) {
		http.Error(w, "Too many requests with a wrong key came from your address.", http.StatusTooManyRequests)
		return
	}
	if err != nil || id.Principal.Type != aws.Root || id.Principal.Session != nil || id.Principal.Account != h.first {
		http.Error(w, "Only the root user of account "+h.first+" may make and list accounts: sign with its long-term key.", http.StatusForbidden)
		return
	}
	var answer any
	switch r.Method {
	case http.MethodGet:
		answer, err = h.list(r.Context())
	case http.MethodPost:
		var in Account
		if json.Unmarshal(body, &in) != nil || !accountName().MatchString(in.Name) {
			http.Error(w, "An account's name has 1 to 50 printable ASCII characters.", http.StatusBadRequest)
			return
		}
		in.ID, in.AccessKeyID, in.SecretAccessKey, err = h.keeper.CreateAccount(r.Context(), in.Name)
		answer = in
	default:
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
		return
	}
	if err != nil {
		h.log.Error("make or list accounts", "error", err)
		http.Error(w, "The account could not be made or read: see the server's log.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(answer) // the client is gone: nothing to be done
}

func (h *accountsHandler) list(ctx context.Context) ([]Account, error) {
	known, err := h.keeper.Accounts(ctx)
	all := make([]Account, len(known))
	for i, a := range known {
		all[i] = Account{ID: a.ID, Name: a.Name}
	}
	return all, err
}
