from __future__ import annotations

pytest_plugins = ["pytester"]


def test_what_was_skipped_is_said_once_with_what_to_install(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(3))
        def test_compiled(number): pytest.skip("arm-none-eabi-gcc isn't installed")

        def test_emulated(): pytest.skip("no Renode here, so nothing was run on one. Much more about it.")

        @pytest.mark.skipif(True, reason="there is no SIGPIPE")
        def test_here(): ...

        @pytest.mark.slow
        def test_long(): ...

        def test_done(): ...
        """
    )
    pytester.makeini("[pytest]\nmarkers = slow\n")
    result = pytester.runpytest("-p", "skipped", "-m", "not slow")
    result.assert_outcomes(passed=1, skipped=5, deselected=1)
    assert result.stdout.str().count("arm-none-eabi-gcc isn't installed") == 1
    result.stdout.fnmatch_lines(
        [
            "*= not run, so neither passed nor failed =*",
            "    3 tests: arm-none-eabi-gcc isn't installed",
            "*-> apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
            "    1 test:  no Renode here, so nothing was run on one",
            "*-> .venv/bin/hil renode install",
            "    1 test:  there is no SIGPIPE",
            "*-> nothing to install*",
            "*tests: marked slow",
            "*-> make test SLOW=1",
        ]
    )
