"""Delivery to an environment: what CI's workflows call, one stage a module. Every stage is finished by running it again.

`package` builds and names by content, `plane` deploys the control plane by change set, `projects` publishes manifests and deletes those
of removed projects, `comments` keeps a pull request's comments. The verbs are `commands.deploy`.
"""
