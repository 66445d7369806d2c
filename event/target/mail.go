package target

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/enfold-run/enfold/event"
)

// Mail sends mail through the operator's server. The target of a message is an address.
type Mail struct {
	host, address string // "mail.example.com", "mail.example.com:587"
	user, secret  string
	from          string
	tls           bool // from the first byte, not by STARTTLS
	trust         *tls.Config
}

// mailTime is how long a mail may take.
const mailTime = time.Minute

// NewMail makes a sender for a server, "smtp://USER:PASSWORD@HOST:PORT" or "smtps://…", that sends as from. With smtp the server must
// offer STARTTLS, unless it is on this machine.
func NewMail(server, from string) (*Mail, error) {
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("want smtp://USER:PASSWORD@HOST:PORT or smtps://…")
	}
	a, err := mail.ParseAddress(from)
	if err != nil {
		return nil, fmt.Errorf("sender %q: want an address", from)
	}
	m := &Mail{host: u.Hostname(), from: a.Address, tls: u.Scheme == "smtps", user: u.User.Username()}
	m.secret, _ = u.User.Password()
	port := u.Port()
	switch {
	case port != "":
	case m.tls:
		port = "465"
	default:
		port = "587"
	}
	m.address = net.JoinHostPort(m.host, port)
	m.trust = &tls.Config{ServerName: m.host, MinVersion: tls.VersionTLS12}
	return m, nil
}

// Send implements [Sender]. What the server refuses for good is for good.
func (m *Mail) Send(ctx context.Context, msg *Message) error {
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	text, err := m.text(msg)
	if err != nil {
		return event.Permanent(err)
	}
	err = m.send(ctx, msg.Target, text)
	var refused *textproto.Error
	if errors.As(err, &refused) && refused.Code >= 500 {
		return event.Permanent(err)
	}
	return err
}

// text is the mail as it travels.
func (m *Mail) text(msg *Message) ([]byte, error) {
	if strings.ContainsAny(msg.Target+msg.Subject, "\r\n") {
		return nil, errors.New("target: a line break in a mail's head")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n", m.from, msg.Target,
		mime.QEncoding.Encode("utf-8", msg.Subject), time.Now().Format(time.RFC1123Z), rand.Text(), m.host)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write(msg.Body); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}

// send speaks SMTP.
func (m *Mail) send(ctx context.Context, to string, text []byte) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.address)
	if err != nil {
		return fmt.Errorf("target: mail server: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("target: mail server: %w", err)
		}
	}
	if m.tls {
		conn = tls.Client(conn, m.trust)
	}
	c, err := smtp.NewClient(conn, m.host)
	if err != nil {
		return fmt.Errorf("target: mail server: %w", err)
	}
	defer c.Close()
	if err := m.protect(c, conn.RemoteAddr()); err != nil {
		return err
	}
	if m.user != "" {
		if err := c.Auth(smtp.PlainAuth("", m.user, m.secret, m.host)); err != nil {
			return fmt.Errorf("target: mail server: %w", err)
		}
	}
	if err := errors.Join(c.Mail(m.from), c.Rcpt(to)); err != nil {
		return fmt.Errorf("target: mail server: %w", err)
	}
	w, err := c.Data()
	if err != nil {
		return fmt.Errorf("target: mail server: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("target: mail server: %w", err)
	}
	if err := w.Close(); err != nil { // it has the mail when it says so
		return fmt.Errorf("target: mail server: %w", err)
	}
	_ = c.Quit()
	return nil
}

// protect makes the connection one that nobody else reads, unless the server is on this machine.
func (m *Mail) protect(c *smtp.Client, at net.Addr) error {
	if m.tls {
		return nil
	}
	if ok, _ := c.Extension("STARTTLS"); ok {
		if err := c.StartTLS(m.trust); err != nil {
			return fmt.Errorf("target: mail server: %w", err)
		}
		return nil
	}
	if a, ok := at.(*net.TCPAddr); ok && a.IP.IsLoopback() {
		return nil
	}
	return errors.New("target: the mail server offers no STARTTLS")
}
