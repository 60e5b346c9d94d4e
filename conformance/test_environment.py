"""The environment: which runtime computed, and how its versions compare with the source's."""

import pytest

from plugins.checks.compiled import check_runtime, check_versions


@pytest.mark.npu
@pytest.mark.clause("environment.runtime")
def test_the_lane_runs_on_what_it_claims(runtime_versions, npu_runtime, real_npu):
    check_runtime(runtime_versions, npu_runtime, real=real_npu)


@pytest.mark.npu
@pytest.mark.clause("environment.versions")
def test_the_versions_are_those_of_the_source(observed_versions, environment, real_npu, figure):
    for version in environment.npu:
        found = observed_versions.get(version.name) or "not found"
        figure(version.name, found, expected=version.version)
    check_versions(observed_versions, environment.npu, strict=real_npu)


@pytest.mark.npu
@pytest.mark.requires("export_env")
@pytest.mark.clause("environment.export")
def test_the_file_is_exported_with_the_sources_versions(export_versions, environment, figure):
    for version in environment.export:
        figure(version.name, export_versions[version.name], expected=version.version)
    check_versions(export_versions, environment.export, strict=True)
