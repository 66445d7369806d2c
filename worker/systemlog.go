package worker

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// systemLog writes the platform's own log lines, in the function's format and from its level up.
// See https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html.
type systemLog struct {
	f    *Function
	json bool
	min  int // level: 0 debug, 1 info, 2 warn
	// initType is why there is an Init phase: because of an invocation, or ahead of all.
	initType string
}

func newSystemLog(f *Function) systemLog {
	s := systemLog{f: f, json: f.LogFormat == "JSON", min: 1, initType: onDemandInit}
	switch f.SystemLog {
	case "DEBUG":
		s.min = 0
	case "WARN":
		s.min = 2
	}
	return s
}

// initOutcome is how an Init phase ended.
type initOutcome struct {
	took                     time.Duration
	phase, status, errorType string
}

func millis(d time.Duration) float64 { return math.Round(float64(d)/1e4) / 100 }

func (s systemLog) initStart(at time.Time, phase string) []byte {
	if s.json {
		rec := map[string]any{
			"initializationType": s.initType, "phase": phase, "functionName": s.f.Name, "functionVersion": s.f.Version,
		}
		if s.f.RuntimeVersionArn != "" {
			rec["runtimeVersion"], rec["runtimeVersionArn"] = s.f.RuntimeVersion, s.f.RuntimeVersionArn
		}
		return s.record(at, 1, "platform.initStart", rec)
	}
	if s.f.RuntimeVersionArn == "" {
		return nil
	}
	return fmt.Appendf(nil, "INIT_START Runtime Version: %s\tRuntime Version ARN: %s\n", s.f.RuntimeVersion, s.f.RuntimeVersionArn)
}

func (s systemLog) initReport(at time.Time, o initOutcome) []byte {
	if s.json {
		rec := map[string]any{
			"initializationType": s.initType, "phase": o.phase, "status": o.status,
			"metrics": map[string]any{"durationMs": millis(o.took)},
		}
		if o.errorType != "" {
			rec["errorType"] = o.errorType
		}
		level := 2
		if o.status == statusSuccess {
			level = 1
		}
		return s.record(at, level, "platform.initReport", rec)
	}
	b := fmt.Appendf(nil, "INIT_REPORT Init Duration: %.2f ms\tPhase: %s\tStatus: %s", millis(o.took), o.phase, o.status)
	if o.errorType != "" {
		b = append(append(b, "\tError Type: "...), o.errorType...)
	}
	return append(b, '\n')
}

func (s systemLog) restoreStart(at time.Time) []byte {
	if s.json {
		rec := map[string]any{"functionName": s.f.Name, "functionVersion": s.f.Version}
		if s.f.RuntimeVersionArn != "" {
			rec["runtimeVersion"], rec["runtimeVersionArn"] = s.f.RuntimeVersion, s.f.RuntimeVersionArn
		}
		return s.record(at, 1, "platform.restoreStart", rec)
	}
	if s.f.RuntimeVersionArn == "" {
		return nil
	}
	return fmt.Appendf(nil, "RESTORE_START Runtime Version: %s\tRuntime Version ARN: %s\n", s.f.RuntimeVersion, s.f.RuntimeVersionArn)
}

// restoreRecord is what JSON has of how a restore ended.
func (o initOutcome) restoreRecord() (rec map[string]any, failed bool) {
	rec = map[string]any{"status": o.status}
	if o.errorType != "" {
		rec["errorType"] = o.errorType
	}
	return rec, o.status != statusSuccess
}

func (s systemLog) restoreRuntimeDone(at time.Time, o initOutcome) []byte {
	if !s.json {
		return nil
	}
	level := 0
	rec, failed := o.restoreRecord()
	if failed {
		level = 2
	}
	return s.record(at, level, "platform.restoreRuntimeDone", rec)
}

func (s systemLog) restoreReport(at time.Time, o initOutcome) []byte {
	if s.json {
		level := 1
		rec, failed := o.restoreRecord()
		if failed {
			level = 2
		}
		rec["metrics"] = map[string]any{"durationMs": millis(o.took)}
		return s.record(at, level, "platform.restoreReport", rec)
	}
	b := fmt.Appendf(nil, "RESTORE_REPORT Restore Duration: %.2f ms", millis(o.took))
	if o.status != statusSuccess {
		b = fmt.Appendf(b, "\tStatus: %s\tError Type: %s", o.status, o.errorType)
	}
	return append(b, '\n')
}

func (s systemLog) start(r *Request, at time.Time) []byte {
	if s.json {
		return s.record(at, 1, "platform.start", map[string]any{"requestId": r.RequestID, "version": s.f.Version})
	}
	b := make([]byte, 0, 96)
	b = append(b, "START RequestId: "...)
	b = append(b, r.RequestID...)
	b = append(b, " Version: "...)
	b = append(b, s.f.Version...)
	return append(b, '\n')
}

func (s systemLog) end(r *Request) []byte {
	if s.json {
		return nil
	}
	b := make([]byte, 0, 64)
	b = append(b, "END RequestId: "...)
	b = append(b, r.RequestID...)
	return append(b, '\n')
}

// report is the last line of an invocation. It stands on the warm path, so it is put together by hand.
func (s systemLog) report(r *Request, resp *Response, fail *failure, at time.Time) []byte {
	billed := int64(math.Ceil(float64(resp.Duration) / 1e6))
	used := (resp.MaxMemory + 1<<20 - 1) >> 20
	if s.json {
		return s.reportJSON(r, resp, fail, at)
	}
	b := make([]byte, 0, 256)
	b = append(b, "REPORT RequestId: "...)
	b = append(b, r.RequestID...)
	b = append(b, "\tDuration: "...)
	b = strconv.AppendFloat(b, millis(resp.Duration), 'f', 2, 64)
	b = append(b, " ms\tBilled Duration: "...)
	b = strconv.AppendInt(b, billed, 10)
	b = append(b, " ms\tMemory Size: "...)
	b = strconv.AppendInt(b, int64(s.f.MemoryMB), 10)
	b = append(b, " MB\tMax Memory Used: "...)
	b = strconv.AppendInt(b, used, 10)
	b = append(b, " MB\t"...)
	if resp.Init > 0 {
		b = append(b, "Init Duration: "...)
		b = strconv.AppendFloat(b, millis(resp.Init), 'f', 2, 64)
		b = append(b, " ms\t"...)
	}
	if resp.Restore > 0 {
		b = append(b, "Restore Duration: "...)
		b = strconv.AppendFloat(b, millis(resp.Restore), 'f', 2, 64)
		b = append(b, " ms\tBilled Restore Duration: "...)
		b = strconv.AppendInt(b, int64(math.Ceil(float64(resp.Restore)/1e6)), 10)
		b = append(b, " ms\t"...)
	}
	if fail != nil {
		b = append(b, "Status: "...)
		b = append(b, fail.status...)
		if fail.status == statusError {
			b = append(b, "\tError Type: "...)
			b = append(b, fail.errorType...)
		}
		b = append(b, '\t')
	}
	return append(b, '\n')
}

func (s systemLog) reportJSON(r *Request, resp *Response, fail *failure, at time.Time) []byte {
	metrics := map[string]any{
		"durationMs": millis(resp.Duration), "billedDurationMs": int64(math.Ceil(float64(resp.Duration) / 1e6)),
		"memorySizeMB": s.f.MemoryMB, "maxMemoryUsedMB": (resp.MaxMemory + 1<<20 - 1) >> 20,
	}
	if resp.Init > 0 {
		metrics["initDurationMs"] = millis(resp.Init)
	}
	if resp.Restore > 0 {
		metrics["restoreDurationMs"], metrics["billedRestoreDurationMs"] = millis(resp.Restore), int64(math.Ceil(float64(resp.Restore)/1e6))
	}
	rec := map[string]any{"requestId": r.RequestID, "status": "success", "metrics": metrics}
	level := 1
	switch {
	case fail != nil:
		level = 2
		rec["status"], rec["errorType"] = fail.status, fail.errorType
	case resp.FunctionError != "":
		level = 2
		rec["status"], rec["errorType"] = statusError, resp.ErrorType
	}
	return s.record(at, level, "platform.report", rec)
}

func (s systemLog) record(at time.Time, level int, kind string, rec map[string]any) []byte {
	if level < s.min {
		return nil
	}
	b, err := json.Marshal(struct {
		Time   string         `json:"time"`
		Type   string         `json:"type"`
		Record map[string]any `json:"record"`
	}{at.UTC().Format("2006-01-02T15:04:05.000Z"), kind, rec})
	if err != nil {
		return nil // strings and numbers always marshal
	}
	return append(b, '\n')
}
