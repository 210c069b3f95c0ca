"""Tests on a real Kubernetes; ``make test-cluster`` starts one of its own or takes GANTRY_TEST_CONTEXT's."""
