package test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// TestCallerHangsUp: a function runs to its end when its caller has gone, as on AWS, and the next invocation is warm.
func TestCallerHangsUp(t *testing.T) {
	s, node := sharedServer(t), languageOf(t, "node")
	pause := "await new Promise((done) => setTimeout(done, 100));"
	for _, c := range []struct{ kind, code string }{
		{"waits", `exports.h = async (e) => { console.log('begun'); if (e.n) for (let i = 0; i < e.n; i++) ` + pause + ` console.log('done'); return 'x'; }`},
		{"streams", `exports.h = awslambda.streamifyResponse(async (e, stream) => {
			console.log('begun');
			for (let i = 0; i < (e.n ?? 1); i++) { stream.write('x'.repeat(100000)); ` + pause + ` }
			stream.end();
			console.log('done');
		})`},
	} {
		t.Run(c.kind, func(t *testing.T) {
			fn := aws.String(name(t))
			s.create(t, lambda.CreateFunctionInput{
				FunctionName: fn, Runtime: types.Runtime(node.runtime), Handler: aws.String("app.h"), Timeout: aws.Int32(20), MemorySize: aws.Int32(512),
				Code: &types.FunctionCode{ZipFile: zipOf(t, file{"app.js", []byte(c.code), 0})},
			})
			ctx, hangUp := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer hangUp()
			var err error
			if c.kind == "waits" {
				_, err = s.lambda(t).Invoke(ctx, &lambda.InvokeInput{FunctionName: fn, Payload: []byte(`{"n":15}`)})
			} else {
				var out *lambda.InvokeWithResponseStreamOutput
				out, err = s.lambda(t).InvokeWithResponseStream(ctx, &lambda.InvokeWithResponseStreamInput{FunctionName: fn, Payload: []byte(`{"n":15}`)})
				if err == nil {
					<-ctx.Done()
					err = errors.Join(out.GetStream().Close(), ctx.Err())
				}
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("the first call: %v", err)
			}
			s.waitForLog(t, *fn, "done")
			s.waitForLog(t, *fn, "REPORT")
			if o := s.invoke(t, *fn, `{}`); o.failed != "" || strings.Contains(o.log, "Init Duration") {
				t.Errorf("the next one: %s %s\n%s", o.failed, o.payload, o.log)
			}
			all, _, err := s.enfold(t, "logs", *fn)
			if err != nil || strings.Contains(all, "Status: error") {
				t.Errorf("%v\n%s", err, all)
			}
		})
	}
}

// TestReaderStalls: who does not read what a function streams holds the function no longer than its timeout.
func TestReaderStalls(t *testing.T) {
	s, node := sharedServer(t), languageOf(t, "node")
	fn := aws.String(name(t))
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: fn, Runtime: types.Runtime(node.runtime), Handler: aws.String("app.h"), Timeout: aws.Int32(2), MemorySize: aws.Int32(512),
		Code: &types.FunctionCode{ZipFile: zipOf(t, file{"app.js", []byte(`exports.h = awslambda.streamifyResponse(async (e, stream) => {
			for (let i = 0; i < (e.n ?? 1); i++) if (!stream.write('x'.repeat(100000))) await new Promise((drained) => stream.once('drain', drained));
			stream.end();
		})`), 0})},
	})
	c := s.lambda(t)
	if _, err := c.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: fn, ReservedConcurrentExecutions: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	out, err := c.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: fn, Payload: []byte(`{"n":1500}`)})
	if err != nil {
		t.Fatal(err)
	}
	defer out.GetStream().Close()
	for {
		_, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: fn, Payload: []byte(`{}`)})
		took := time.Since(begun)
		if err == nil {
			if took < time.Second {
				t.Error("nothing was held up")
			}
			break
		}
		if took > 20*time.Second {
			t.Fatalf("after %v: %v", took, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.waitForLog(t, *fn, "Task timed out after 2.00 seconds")
}
