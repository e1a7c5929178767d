# The command alone, to run against a suite that is mounted:
#
#     docker build -t compare .
#     docker run --rm -v "$PWD:/work" -e DEEPSEEK_API_KEY compare run prompts/basic.yaml
#
# Two stages, so that what builds the wheel does not ship.

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY runner ./runner
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[socks,prices]"

FROM python:3.13-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 compare
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels "compare-runner[socks,prices]" && rm -rf /wheels
USER compare
WORKDIR /work
ENTRYPOINT ["compare"]
CMD ["--help"]
