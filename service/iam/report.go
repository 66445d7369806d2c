package iam

import (
	"bytes"
	"context"
	"encoding/csv"
	"strconv"
	"time"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// reportAge is how long a credential report is good, before which none is made anew.
const reportAge = 4 * time.Hour

// reportRow is an account's credential report.
type reportRow struct {
	Made    time.Time
	Content []byte
}

var reports = store.Table[reportRow]{Name: "iam.report"}

const reportKey = "credentials"

// GenerateCredentialReport makes a report, if the last one is older than four hours, before it answers.
func (s *Service) GenerateCredentialReport(ctx context.Context, _ *api.GenerateCredentialReportInput) (*api.GenerateCredentialReportOutput, error) {
	last, err := s.report(ctx)
	if err != nil {
		return nil, err
	}
	if !last.Made.IsZero() && s.now().Sub(last.Made) < reportAge {
		return &api.GenerateCredentialReportOutput{State: new(api.ReportStateTypeComplete)}, nil
	}
	content, err := s.credentials(ctx)
	if err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, func(tx store.Tx) error {
		_, err := reports.Put(tx, scope(account(ctx)), reportKey, reportRow{s.clock(), content})
		return err
	})
	return answer(&api.GenerateCredentialReportOutput{
		State: new(api.ReportStateTypeStarted), Description: new("No report exists. Starting a new report generation task"),
	}, err)
}

// report is the zero report if there is none.
func (s *Service) report(ctx context.Context) (r reportRow, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		for row, err := range reports.Scan(tx, scope(account(ctx)), store.Range{}) {
			if err != nil {
				return err
			}
			r = row.Value
		}
		return nil
	})
	return r, err
}

// GetCredentialReport shows the last report.
func (s *Service) GetCredentialReport(ctx context.Context, _ *api.GetCredentialReportInput) (*api.GetCredentialReportOutput, error) {
	r, err := s.report(ctx)
	switch {
	case err != nil:
		return nil, err
	case r.Made.IsZero():
		return nil, api.ErrCredentialReportNotPresent.New("No report present. Use GenerateCredentialReport to create one.")
	case s.now().Sub(r.Made) > reportAge:
		return nil, api.ErrCredentialReportExpired.New("The report is expired. Use GenerateCredentialReport to create a new one.")
	}
	return &api.GetCredentialReportOutput{Content: r.Content, ReportFormat: new(api.ReportFormatTypeTextCsv), GeneratedTime: &r.Made}, nil
}

var reportColumns = []string{
	"user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed", "password_next_rotation",
	"mfa_active", "access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date", "access_key_1_last_used_region",
	"access_key_1_last_used_service", "access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date",
	"access_key_2_last_used_region", "access_key_2_last_used_service", "cert_1_active", "cert_1_last_rotated", "cert_2_active",
	"cert_2_last_rotated",
}

const rootHolder = "<root_account>"

// holder is who has keys: a user, or the root user.
type holder struct {
	name, arn string
	created   time.Time
	keys      []string
}

// credentials writes the report.
func (s *Service) credentials(ctx context.Context) ([]byte, error) {
	id := account(ctx)
	var holders []holder
	rows := map[string]keyRow{}
	err := s.db.View(ctx, func(tx store.Tx) error {
		a, err := getAccount(tx, id)
		if err != nil {
			return err
		}
		holders = []holder{{rootHolder, aws.RootOf(id, "").Arn, a.Created, a.Keys}}
		for row, err := range entities.Scan(tx, scope(id), store.Range{Prefix: store.Prefix(string(user))}) {
			if err != nil {
				return err
			}
			holders = append(holders, holder{row.Value.Name, row.Value.arn(id), row.Value.Created, row.Value.Keys})
		}
		for _, h := range holders {
			for _, k := range h.keys {
				row, err := keys.Get(tx, everywhere, k)
				if err != nil {
					return err
				}
				rows[k] = row.Value
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(reportColumns) // a buffer takes everything
	for _, h := range holders {
		line, err := s.reportLine(ctx, h, rows)
		if err != nil {
			return nil, err
		}
		_ = w.Write(line)
	}
	w.Flush()
	return b.Bytes(), nil
}

func (s *Service) reportLine(ctx context.Context, h holder, rows map[string]keyRow) ([]string, error) {
	const none, unsupported = "N/A", "not_supported"
	line := []string{h.name, h.arn, h.created.Format(time.RFC3339), "false", none, none, none, "false"}
	if h.name == rootHolder { // of whose password the report never tells
		line[3], line[5], line[6] = unsupported, unsupported, unsupported
	}
	for i := range maxKeysPerUser {
		if i >= len(h.keys) {
			line = append(line, "false", none, none, none, none)
			continue
		}
		k := rows[h.keys[i]]
		last, err := s.lastUse(ctx, k.Account, h.keys[i])
		if err != nil {
			return nil, err
		}
		line = append(line, strconv.FormatBool(!k.Inactive), k.Created.Format(time.RFC3339))
		if last.At.IsZero() {
			line = append(line, none, none, none)
			continue
		}
		line = append(line, last.At.Format(time.RFC3339), last.Region, last.Service)
	}
	return append(line, "false", none, "false", none), nil
}
