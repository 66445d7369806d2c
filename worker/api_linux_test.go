package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// awsAPI serves what stands for the AWS API to sandboxes, as a server does.
type awsAPI struct {
	t       *testing.T
	handler http.HandlerFunc
	served  atomic.Int32 // sandboxes so far
	now     atomic.Int32 // sandboxes at the moment
	conns   atomic.Int32 // open
	most    atomic.Int32 // open at once
}

func (a *awsAPI) serve(l net.Listener, f *Function) func() {
	a.served.Add(1)
	a.now.Add(1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Function", f.Owner)
		a.handler(w, r)
	}), ConnState: func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			if n := a.conns.Add(1); n > a.most.Load() { // only one sandbox opens many
				a.most.Store(n)
			}
		case http.StateClosed:
			a.conns.Add(-1)
		}
	}}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(l); err == nil {
			a.t.Error("Serve ended without an error")
		}
	})
	return func() {
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			a.t.Errorf("the listener is open when it is to be stopped: %v", err)
		}
		srv.Close()
		serving.Wait()
		a.now.Add(-1)
	}
}

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello %s at %s%s", w.Header().Get("Function"), r.Host, r.URL.Path)
}

func TestAPIFromInside(t *testing.T) {
	a := &awsAPI{t: t, handler: hello}
	t.Cleanup(func() {
		if n, now := a.served.Load(), a.now.Load(); n != 4 || now != 0 {
			t.Errorf("%d sandboxes were served, want 4; %d still are", n, now)
		}
	})
	w := newWorld(t, "namespace", Deps{API: a.serve, Endpoint: "http://never"})
	f := w.function()
	f.Timeout = time.Second
	other := w.function()
	other.Owner = "111111111111/us-east-1/other/$LATEST"
	get := func(f *Function) {
		t.Helper()
		want := `"200 OK hello ` + f.Owner + ` at 127.0.0.1:4566/2015-03-31/functions"`
		if got := string(w.good(f, `{"do":"get","text":"/2015-03-31/functions"}`).Payload); got != want {
			t.Errorf("the function got %s, want %s", got, want)
		}
	}
	get(f)
	get(other)
	get(f)
	if resp := w.run(f, "hang"); resp.ErrorType != "Sandbox.Timedout" {
		t.Errorf("hanging ended with %q", resp.ErrorType)
	}
	get(f) // from the next process of the same sandbox
	w.Retire(f.Key)
	get(f)
	w.fill(other, 2)
}

// A function under the process driver finds the server itself.
func TestAPIOfTheServer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(hello))
	defer srv.Close()
	a := &awsAPI{t: t}
	w := newWorld(t, "process", Deps{API: a.serve, Endpoint: srv.URL})
	if got := string(w.good(w.function(), `{"do":"get","text":"/x"}`).Payload); !strings.HasPrefix(got, `"200 OK hello`) {
		t.Errorf("the function got %s", got)
	}
	if a.served.Load() != 0 {
		t.Error("a sandbox in the host's network was served")
	}
}

// What the customer sets counts, and where nobody serves, functions are told nothing.
func TestEndpointURL(t *testing.T) {
	a := &awsAPI{t: t, handler: hello}
	for _, c := range []struct {
		name, driver string
		deps         Deps
		env          []string
		want         string
	}{
		{"inside", "namespace", Deps{API: a.serve}, nil, "http://127.0.0.1:4566"},
		{"the server's", "process", Deps{Endpoint: "http://127.0.0.1:1"}, nil, "http://127.0.0.1:1"},
		{"the customer's", "namespace", Deps{API: a.serve}, []string{"AWS_ENDPOINT_URL", "http://example.com"}, "http://example.com"},
		{"none inside", "namespace", Deps{Endpoint: "http://127.0.0.1:1"}, nil, ""},
		{"none", "process", Deps{API: a.serve}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.driver, c.deps)
			got, has := w.environ(w.function(c.env...))["AWS_ENDPOINT_URL"]
			if got != c.want || has != (c.want != "") {
				t.Errorf("AWS_ENDPOINT_URL is %q, want %q", got, c.want)
			}
		})
	}
}

// A function that opens as many connections as it can gets no more than its share, and the next process has all of them again.
func TestAPICrowd(t *testing.T) {
	a := &awsAPI{t: t, handler: hello}
	w := newWorld(t, "namespace", Deps{API: a.serve})
	f := w.function()
	f.MemoryMB = 1769 // less has little processor time
	if got := string(w.good(f, fmt.Sprintf(`{"do":"crowd","n":%d}`, apiConns+20)).Payload); got != fmt.Sprint(apiConns) {
		t.Errorf("%s connections were answered, want %d", got, apiConns)
	}
	// One that closes gives its place to another before the server counts it as closed.
	if most := a.most.Load(); most < apiConns || most >= apiConns+20 {
		t.Errorf("%d connections were open at once, want %d", most, apiConns)
	}
	if got := string(w.good(f, `{"do":"get"}`).Payload); !strings.HasPrefix(got, `"200 OK`) {
		t.Errorf("after it the function got %s", got)
	}
	eventually(t, "its connections are closed", func() bool { return a.conns.Load() <= 1 }) // the last one is kept alive
	crowded := make(chan struct{})
	go func() {
		defer close(crowded)
		w.run(f, fmt.Sprintf(`{"do":"crowd","n":%d}`, apiConns+80))
	}()
	eventually(t, "all connections are taken", func() bool { return a.conns.Load() == apiConns })
	w.Retire(f.Key) // its sandbox goes, or is told to when it is done, while Accept waits for room
	<-crowded
}

// Functions that open all they can get no more than there is for all of them, and others have their first connections anyway.
func TestAPICrowdOfMany(t *testing.T) {
	const own, common = 4, 10
	a := &awsAPI{t: t, handler: hello}
	w := newWorld(t, "namespace", Deps{API: a.serve, MaxConns: common})
	greedy, other := w.function(), w.function()
	greedy.MemoryMB, other.MemoryMB = 1769, 1769
	other.Owner = "111111111111/us-east-1/other/$LATEST"
	crowd := func(f *Function, n int) string {
		return string(w.good(f, fmt.Sprintf(`{"do":"crowd","n":%d}`, n)).Payload)
	}

	var took string
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := w.Run(context.Background(), greedy, w.request(fmt.Sprintf(`{"do":"crowd","n":%d}`, own+common+20)))
		if err != nil {
			t.Error(err)
			return
		}
		took = string(resp.Payload)
	}()
	eventually(t, "the greedy function has what there is", func() bool { return a.conns.Load() == own+common })
	if got := crowd(other, own); got != fmt.Sprint(own) {
		t.Errorf("the other function had %s answers, want %d", got, own)
	}
	<-done
	if took != fmt.Sprint(own+common) {
		t.Errorf("the greedy function had %s answers, want %d", took, own+common)
	}
	eventually(t, "its connections are closed", func() bool { return a.conns.Load() == 0 })
	if got := crowd(other, own+common); got != fmt.Sprint(own+common) {
		t.Errorf("after it the other function had %s answers, want %d", got, own+common)
	}
	for _, f := range []*Function{greedy, other} {
		w.Retire(f.Key)
	}
}

// A call that is under way when its caller is killed ends.
func TestAPICallOfADeadFunction(t *testing.T) {
	begun, ended := make(chan struct{}, 2), make(chan error, 2)
	a := &awsAPI{t: t, handler: func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
		ended <- r.Context().Err()
	}}
	w := newWorld(t, "namespace", Deps{API: a.serve})
	f := w.function()
	f.Timeout = time.Second
	wait := func(what string) {
		t.Helper()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Error("the call outlives " + what)
		}
	}
	if resp := w.run(f, "get"); resp.ErrorType != "Sandbox.Timedout" {
		t.Errorf("ended with %q", resp.ErrorType)
	}
	<-begun
	wait("its process")

	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-begun
		cancel()
	}()
	if _, err := w.Run(ctx, f, w.request("get")); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	wait("its sandbox")
}
