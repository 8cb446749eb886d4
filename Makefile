# The same commands by the names that people's fingers know; everything is done by ./dev.
.DEFAULT_GOAL := help
.PHONY: help demo test check lint format typecheck run-local new-project clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo:  ## the main job on the embedded AWS
	./dev demo

test:  ## all checks and tests
	./dev test

check lint typecheck:  ## format, lint, types, layers, unit tests
	./dev check

format:  ## format the code
	./dev fmt

run-local:  ## run one job on local Spark: make run-local JOB=sales.daily_revenue
	./dev meshplane run-local $(JOB)

new-project:  ## a project from the template: make new-project NAME=orders
	./dev meshplane new $(NAME)

clean:  ## stop the embedded AWS and forget it
	./dev meshplane local down || true
	rm -rf .meshplane/snapshot .meshplane/log build dist
