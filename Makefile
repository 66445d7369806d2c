# Enfold. The two commands a newcomer needs: make run, make test.
export CGO_ENABLED := 0
export PATH := $(CURDIR)/bin:$(PATH)
EXAMPLES := hello thumbnail

.PHONY: run test bench gen lint build enfold gvisor clean

run: enfold ## build, start Enfold on ./.enfold, run the demo against it
	bin/enfold demo --start

test: ## everything; installs what it needs under .tools
	bash test/run.sh

bench: build ## the table of ratios
	go run ./test/bench

gen: ## service contracts, the Java bootstrap, the sandbox's init
	go run ./cmd/apigen
	bash runtimes/java/build.sh

lint: ## gofumpt, go vet, staticcheck and friends
	bash test/lint.sh

build: enfold gvisor ## both binaries

enfold:
	bash sandbox/namespace/build-init.sh
	bash sandbox/gvisor/build-guest.sh
	go build -trimpath -ldflags='-s -w' -o bin/enfold ./cmd/enfold
	for e in $(EXAMPLES); do [ ! -d examples/$$e/go ] || go build -trimpath -ldflags='-s -w' -tags lambda.norpc -o bin/examples/$$e-go/bootstrap ./examples/$$e/go || exit 1; done

gvisor: ## the user-space kernel of --isolation gvisor; minutes the first time
	bash cmd/enfold-gvisor/build.sh

clean:
	rm -rf bin .enfold .tools
