"""Answer the simulator's requests by path, model and fault, and keep a log of them. Opens no socket."""

import time
from collections import OrderedDict, deque
from dataclasses import replace
from itertools import count
from urllib.parse import unquote

from runner.simulator.answer_chunks import answer
from runner.simulator.chat_request import ChatRequest, count_prompt_tokens
from runner.simulator.faults import InjectedFault, SimulatedExchange
from runner.simulator.http_request import HttpRequest, RequestError
from runner.simulator.model_names import Model, model_ids, parse_model
from runner.simulator.persona import Delay, Persona
from runner.simulator.prefix_cache import PrefixCache
from runner.simulator.response_steps import Envelope, Response, json_response
from runner.simulator.routes import DIALECTS, METHODS, MODELS, ServedDialect, describe_error, refuse_method

LOG = "/log"
OWN_METHODS = {**METHODS, LOG: "GET"}

MAX_LOG_ENTRIES = 20_000
LOGGED_CHARS = 100
"""Number of characters of a question that the log keeps."""
MAX_CONTENTS = 10_000


class RequestHandler:
    """Answers requests; its state is the requests in flight, the number of requests with each content, and the log."""

    def __init__(self, fault: InjectedFault | None = None) -> None:
        self.in_flight = 0
        self._fault = fault
        self._started_s = int(time.time())
        self._request_ids = count(1)
        self._completion_ids = count(1)
        self._attempts: OrderedDict[ChatRequest, int] = OrderedDict()
        self._prefixes = PrefixCache()
        self._log: deque[dict[str, object]] = deque(maxlen=MAX_LOG_ENTRIES)

    def respond(self, request: HttpRequest, received_ns: int) -> Response:
        """Return the response to a request; an error if the request is invalid."""
        try:
            response = self._route(request, received_ns)
        except RequestError as error:
            response = describe_error(error, DIALECTS.get(request.path.rstrip("/")))
        return replace(response, headers=(*response.headers, ("x-request-id", f"req-sim-{next(self._request_ids)}")))

    def _route(self, request: HttpRequest, received_ns: int) -> Response:
        path = request.path.rstrip("/")
        known = MODELS if path.startswith(MODELS + "/") else path
        if known not in OWN_METHODS:
            raise RequestError(
                404, f"Unknown path '{request.path}': there are {', '.join(OWN_METHODS)}.", code="unknown_url"
            )
        if request.method != OWN_METHODS[known]:
            return refuse_method(path, OWN_METHODS[known], DIALECTS.get(known))
        if known in DIALECTS:
            return self._chat(DIALECTS[known], request, received_ns)
        if known == LOG:
            return json_response(200, list(self._log))
        return self._models(unquote(path.removeprefix(MODELS).removeprefix("/")))

    def _models(self, name: str) -> Response:
        if name:
            return json_response(200, self._describe(parse_model(name).name))
        return json_response(200, {"object": "list", "data": [self._describe(name) for name in model_ids()]})

    def _describe(self, model_id: str) -> dict[str, object]:
        description = model_ids().get(model_id.partition("?")[0])
        facts = {"created": self._started_s, "owned_by": "simulated", "description": description}
        return {"id": model_id, "object": "model", **facts}

    def _chat(self, dialect: ServedDialect, request: HttpRequest, received_ns: int) -> Response:
        chat = dialect.parse(request)
        logged = {"model": chat.model, "question": chat.question[:LOGGED_CHARS]}
        self._log.append({"received_ns": received_ns, **logged, "in_flight": self.in_flight})
        model = parse_model(chat.model)
        exchange = self._exchange(dialect, chat, model)
        fault = model.fault or self._fault
        return fault.inject(exchange) if fault else exchange.intact

    def _exchange(self, dialect: ServedDialect, chat: ChatRequest, model: Model) -> SimulatedExchange:
        wall_s = time.time()
        is_same = not (model.persona.varies or model.answerers.several)
        counts = not is_same or model.fault is not None or self._fault is not None
        attempt = self._count_attempt(chat) if counts else 1
        answerer = model.answerers.choose(chat.question, attempt, chat.only)
        input_tokens = count_prompt_tokens(chat.messages, (tool.text for tool in chat.tools.tools))
        cached_tokens, persona = self._read_prompt(answerer.vendor.at_its_pace(model.persona), chat, input_tokens)
        return SimulatedExchange(
            dialect=dialect,
            chat=chat,
            answer=answer(persona, chat, attempt),
            envelope=Envelope(
                id=f"{dialect.id_prefix}-sim-{next(self._completion_ids)}",
                created=int(wall_s),
                model=model.name,
                input_tokens=input_tokens,
                cached_tokens=cached_tokens,
                include_usage=chat.include_usage,
                answerer=answerer,
            ),
            attempt=attempt,
            wall_s=wall_s,
            hold_ns=model.hold_ns,
            times=model.times,
        )

    def _read_prompt(self, persona: Persona, chat: ChatRequest, input_tokens: int) -> tuple[int | None, Persona]:
        """Return the reported number of cached tokens, None if it is not reported, and the persona with its delay."""
        caching = persona.caching
        if caching is None:
            return 0, persona
        cached = self._prefixes.look_up(chat.model, chat.messages, caching, time.perf_counter_ns())
        delay_ns = persona.first.median_ns + max(input_tokens - cached, 0) * caching.token_ns
        return cached if caching.is_reported else None, replace(persona, first=Delay(delay_ns, persona.first.sigma))

    def _count_attempt(self, chat: ChatRequest) -> int:
        attempt = self._attempts.pop(chat, 0) + 1
        self._attempts[chat] = attempt
        if len(self._attempts) > MAX_CONTENTS:
            self._attempts.popitem(last=False)
        return attempt
