"""The trainer: rollouts of the cluster in, updated policies out.

| package | what it does | torch |
| --- | --- | --- |
| `config`, `folder`, `settings` | a job's configuration, its folder, the service's settings | no |
| `collect` | sends training tasks through the cluster, groups and rewards the rollouts | no |
| `ledger` | step manifests: which rollouts a step is made of, in a hash chain | no |
| `objective` | advantages, token weights, masks, merging of turns; the losses | `losses` only |
| `learn` | the learner process: model, batches, update, checkpoints, scoring | yes |
| `policies` | publishes adapters, probes them, promotes, rolls back, unloads | no |
| `conduct` | the process of a job: collect, write the manifest, have it learned, publish | no |
| `metrics` | what a step measured: JSONL, Prometheus, TensorBoard, the report | no |
| `jobs`, `app`, `main` | the HTTP service and its launchers | no |
"""
