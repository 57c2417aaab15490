# The README names these; `make demo` and `make test` first.

.PHONY: demo test crash load faults bench lint deps

# From nothing to two builds served and swapped; CHECK=1 ends after the proof.
demo: deps
	cargo build --release --locked
	CHECK=$(CHECK) sh tests/demo.sh

test: deps
	cargo test --locked

# Every changing command killed, and failing, at each of its calls that change a file. CRASH=VERB: that one. ROUNDS=N: at so
# many of its calls.
crash: deps
	CRASH=$(or $(CRASH),all) cargo test --locked --test it crash::every -- --nocapture

# Commands again and again under 64 users who never pause: no request may be lost. Takes 20 minutes.
# ROUNDS=N: so many of each; ONLY=PART: those with this in their names.
load: deps
	cargo test --locked --test it -- --ignored --exact --nocapture proof::load::load

# kill -9 of every process in turn, under the same users: what is lost, and how soon all is back. Takes half an hour.
# ROUNDS and ONLY as for load.
faults: deps
	cargo test --locked --test it -- --ignored --exact --nocapture proof::faults::faults

# What a deploy costs beside other ways, by turns, in a table and in target/bench.json. Takes 25 minutes.
# ROUNDS and ONLY as for load.
bench: deps
	cargo build --release --locked
	BUILDS=$(CURDIR)/target/release/builds cargo test --locked --test it -- --ignored --exact --nocapture proof::bench::bench

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	sh -n tests/demo.sh tests/deny.sh tests/deps.sh skel/conf/uwsgi.sh skel/conf/nginx.sh
	sh tests/deny.sh

# uWSGI, nginx and what the tests look through, from the distribution; only what is missing.
deps:
	sh tests/deps.sh
