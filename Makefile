# The same commands by the names that people's fingers know, those of the earlier templates included (docs/migrating.md); everything is
# done by ./dev.
.DEFAULT_GOAL := help
ENVIRONMENT ?= dev
IMAGE ?= meshplane-glue:5.1
.PHONY: help demo test check lint format typecheck install run-local new-project build docker-build docker-run bootstrap-docker \
	upload-wheel upload-foundation-wheel download-foundation-wheel upload-jobs deploy security clean \
	terraform-init-dev terraform-init-int terraform-init-prod terraform-plan-dev terraform-plan-int terraform-plan-prod \
	terraform-apply terraform-validate

help:  ## list the targets
	@grep -hE '^[a-z-]+( [a-z-]+)*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 44

demo:  ## the main job on the embedded AWS
	./dev demo

test:  ## all checks and tests
	./dev test

check lint typecheck:  ## format, lint, types, layers, unit tests
	./dev check

security:  ## pip-audit, bandit, checkov, workflow linters
	./dev security

format:  ## format the code
	./dev fmt

install:  ## set up: environment, Java, Spark's jars
	./dev setup

run-local:  ## run one job on local Spark: make run-local JOB=sales.daily_revenue
	./dev meshplane run-local $(subst /,.,$(JOB:.py=))

new-project:  ## a project from the template: make new-project NAME=orders
	./dev meshplane new $(NAME)

build:  ## the artifact for Lambda: functions and dependency layer, with digests and sizes
	./dev meshplane build

docker-build:  ## the image with Glue 5.1's versions
	docker build -t $(IMAGE) .

docker-run:  ## one job in the image: make docker-run JOB=sales.daily_revenue
	docker run --rm $(IMAGE) run-local $(subst /,.,$(JOB:.py=))

bootstrap-docker: docker-build  ## the same as docker-build

upload-wheel upload-foundation-wheel upload-jobs:  ## job library, built-in jobs, every project's files: make upload-jobs ENVIRONMENT=dev
	./dev meshplane deploy artifacts --env $(ENVIRONMENT)

download-foundation-wheel:  ## nothing to download: the library is glue_jobs/dp_foundation
	@echo "the library is glue_jobs/dp_foundation of this checkout; an own one is named in domain.json"

deploy:  ## control plane, artifacts, manifests: make deploy ENVIRONMENT=dev
	./dev meshplane deploy --env $(ENVIRONMENT)

terraform-init-dev terraform-init-int terraform-init-prod:  ## backend and variables from domain.json, terraform init
	./dev meshplane baseline init --env $(@:terraform-init-%=%)

terraform-plan-dev terraform-plan-int terraform-plan-prod:  ## what the baseline would change
	./dev meshplane baseline plan --env $(@:terraform-plan-%=%)

terraform-apply:  ## the baseline: make terraform-apply ENVIRONMENT=dev
	./dev meshplane baseline apply --env $(ENVIRONMENT)

terraform-validate:  ## fmt, validate, test of baseline_tf
	./dev test tests/baseline/test_baseline_files.py

clean:  ## stop the embedded AWS and forget it
	./dev meshplane local down || true
	rm -rf .meshplane/snapshot .meshplane/log build dist
