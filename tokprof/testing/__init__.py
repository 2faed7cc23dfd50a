"""
A simulated provider on the loopback interface, to try tokprof without a key and without a bill.

Examples
--------
>>> from tokprof.testing import SimulatedProvider
>>> with SimulatedProvider(reply="Hello!") as provider:
...     client = provider.openai()
...     answer = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}])
...     answer.choices[0].message.content, answer.usage.prompt_tokens
('Hello!', 4)
"""

from tokprof.testing.answers import RecordedRequest, Reply
from tokprof.testing.reasoner import Reasoner
from tokprof.testing.server import SimulatedProvider

__all__ = ["Reasoner", "RecordedRequest", "Reply", "SimulatedProvider"]
