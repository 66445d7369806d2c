package http1

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// begin takes the header as it is now.
func (w *response) begin(status int) {
	w.status = status
	w.now = time.Now()
	w.acquire()
	w.out = appendStatus(w.out, w.old, status)
	w.typed = !bodyAllowed(status)
	w.fields = len(w.header)
	dated := false
	for name, values := range w.header {
		switch name {
		case "Content-Length":
			w.setLength(values)
			continue
		case "Transfer-Encoding":
			continue
		case "Connection":
			for _, v := range values {
				w.last = w.last || hasToken(v, "close")
			}
			continue
		case "Content-Type", "Content-Encoding": // what is encoded looks like nothing
			w.typed = true
		case "Date":
			dated = true
		case "Trailer":
			w.announce(values)
		}
		if !strings.HasPrefix(name, http.TrailerPrefix) {
			w.out = appendField(w.out, name, values)
		}
	}
	if !dated {
		w.out = append(w.out, "Date: "...)
		w.out = append(w.out, w.c.s.date(w.now)...)
		w.out = append(w.out, "\r\n"...)
	}
	if w.length >= 0 && (w.typed || w.length == 0) {
		w.frame(w.length)
	}
}

// acquire gets a buffer. It is made for the usual answer: a large header makes another.
func (w *response) acquire() {
	if w.buf == nil {
		w.buf = outputs.Get().(*[smallOutput]byte)
		w.out = w.buf[:0]
	}
}

// setLength takes the handler's word for the body's length, if it makes sense.
func (w *response) setLength(values []string) {
	if len(values) != 1 || !bodyAllowed(w.status) {
		return
	}
	if n, ok := parseLength(values[0]); ok {
		w.length = n
	}
}

// announce notes the trailers that will come, of those that may.
func (w *response) announce(values []string) {
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			switch name = http.CanonicalHeaderKey(trim(name)); name {
			case "", "Transfer-Encoding", "Content-Length", "Trailer":
			default:
				w.trailers = append(w.trailers, name)
			}
		}
	}
}

// sniff finds out the type of a body that nobody gave one.
func (w *response) sniff(p []byte) {
	w.typed = true
	if types, ok := w.header["Content-Type"]; w.framed || ok && len(types) == 0 {
		return
	}
	w.out = appendField(w.out, "Content-Type", []string{http.DetectContentType(p)})
}

// Lengths of a body that frame is told beside the real ones.
const (
	unknown = -1
	never   = -2 // of the answer to a HEAD
)

// frame ends the head, unless that is done: the body will have length bytes.
func (w *response) frame(length int64) {
	if w.framed {
		return
	}
	w.framed = true
	if w.length >= 0 {
		length = w.length
	}
	switch {
	case !bodyAllowed(w.status):
	case length >= 0:
		w.length = length
		w.out = append(w.out, "Content-Length: "...)
		w.out = strconv.AppendInt(w.out, length, 10)
		w.out = append(w.out, "\r\n"...)
	case length == never || w.head:
	case w.old:
		w.last = true
	default:
		w.chunked = true
		w.out = append(w.out, "Transfer-Encoding: chunked\r\n"...)
	}
	if !w.x.body.answered() || w.c.s.closing() {
		w.last = true
	}
	switch {
	case w.last && !w.old:
		w.out = append(w.out, "Connection: close\r\n"...)
	case w.old && !w.last:
		w.out = append(w.out, "Connection: keep-alive\r\n"...)
	}
	w.out = append(w.out, "\r\n"...)
}

// hasTrailers says whether there is something to come after the body, as far as it is known at the handler's end.
func (w *response) hasTrailers() bool {
	if len(w.trailers) > 0 {
		return !w.old
	}
	if len(w.header) != w.fields {
		for name := range w.header {
			if strings.HasPrefix(name, http.TrailerPrefix) {
				return !w.old
			}
		}
	}
	return false
}

// appendTrailers writes the trailers of a chunked answer.
func (w *response) appendTrailers() {
	for _, name := range w.trailers {
		w.out = appendField(w.out, name, w.header[name])
	}
	for name, values := range w.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			w.out = appendField(w.out, name, values)
		}
	}
}

// inform sends a status that is no answer yet.
func (w *response) inform(status int) {
	if w.old || w.err != nil || status == http.StatusContinue && !w.x.body.proceeded() {
		return
	}
	w.acquire()
	w.out = appendStatus(w.out, false, status)
	if status != http.StatusContinue {
		for name, values := range w.header {
			if name != "Content-Length" && name != "Transfer-Encoding" && name != "Connection" {
				w.out = appendField(w.out, name, values)
			}
		}
	}
	w.out = append(w.out, "\r\n"...)
	w.err = w.write(nil, nil)
}

func appendStatus(b []byte, old bool, status int) []byte {
	switch {
	case old:
		b = append(b, "HTTP/1.0 "...)
	case status == http.StatusOK:
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	default:
		b = append(b, "HTTP/1.1 "...)
	}
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	text := http.StatusText(status)
	if text == "" {
		text = "Unknown"
	}
	b = append(b, text...)
	return append(b, "\r\n"...)
}

// appendField writes a field, a line for each value. A name that is none is left out; control characters, which could end
// the line, become spaces.
func appendField(b []byte, name string, values []string) []byte {
	if !isToken(name) {
		return b
	}
	for _, v := range values {
		b = append(b, name...)
		b = append(b, ": "...)
		from := len(b)
		b = append(b, trim(v)...)
		for i, c := range b[from:] {
			if c < ' ' && c != '\t' || c == 0x7f {
				b[from+i] = ' '
			}
		}
		b = append(b, "\r\n"...)
	}
	return b
}

// date is the time of now as a Date field has it, made once a second.
func (s *Server) date(now time.Time) string {
	sec := now.Unix()
	if d := s.dates.Load(); d != nil && d.sec == sec {
		return d.text
	}
	d := &dateText{sec: sec, text: now.UTC().Format(http.TimeFormat)}
	s.dates.Store(d)
	return d.text
}

type dateText struct {
	sec  int64
	text string
}
