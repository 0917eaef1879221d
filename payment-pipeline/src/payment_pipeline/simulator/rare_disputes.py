"""Rare shapes of disputes and fraud warnings. `rare_shapes` lists them."""

from . import payment_objects as objects
from .actors import Customer
from .aftermath_lifecycles import start_refund
from .currencies import CURRENCIES, minor, share
from .dispute_lifecycles import Case, answer, close, inquire, open_case, withdraw
from .rare_payments import paid
from .true_money import booking
from .world import DAY_S, Lifecycle, World

_REASON = "product_not_received"


def _opened(world: World, case: Case) -> None:
    case.emit_creation(world)
    withdraw(world, case)


def partly_won(world: World, customer: Customer) -> Lifecycle:
    """The whole charge is disputed after a refund. The bank gives the refunded part back."""
    charge = paid(world, customer).successful_charge
    yield DAY_S
    part = share(charge["currency"], charge["amount"], 0.4)
    _, charge = start_refund(world, customer, charge, part, None)
    yield 6 * DAY_S
    case = open_case(world, customer, charge, _REASON)
    _opened(world, case)
    yield 10 * DAY_S
    case.change(world, "closed", {"status": "lost"}, lost_minor=-part, moved_minor=part)
    case.change(world, "funds_reinstated", {})


def in_another_currency(world: World, customer: Customer) -> Lifecycle:
    """A dispute is in the currency of the cardholder's bank, and the payment is not."""
    charge = paid(world, customer).successful_charge
    yield 7 * DAY_S
    own = CURRENCIES[charge["currency"]]
    other = CURRENCIES["eur" if own.code == "usd" else "usd"]
    major = charge["amount_captured"] / own.minor_per_major / own.per_usd * other.per_usd
    case = open_case(world, customer, charge, _REASON, amount_minor=minor(other.code, major))
    case.object = {**case.object, "currency": other.code}
    _opened(world, case)
    yield 10 * DAY_S
    close(world, case, won=False)


def inquiry_then_chargeback(world: World, customer: Customer) -> Lifecycle:
    """The bank closes an inquiry, and later makes a chargeback of the same dispute."""
    charge = paid(world, customer).successful_charge
    yield 3 * DAY_S
    case = open_case(world, customer, charge, _REASON, inquiry=True)
    case.emit_creation(world)
    yield from inquire(world, case)
    yield 2 * DAY_S
    amount = case.object["amount"]
    case.change(world, "updated", {"status": "needs_response"}, lost_minor=amount)
    withdraw(world, case)


def won_after_its_close(world: World, customer: Customer) -> Lifecycle:
    """A dispute is closed as lost, and the bank decides otherwise later."""
    charge = paid(world, customer).successful_charge
    yield 5 * DAY_S
    case = open_case(world, customer, charge, _REASON)
    _opened(world, case)
    yield from answer(world, case)
    yield 8 * DAY_S
    close(world, case, won=False)
    yield 9 * DAY_S
    amount = case.object["amount"]
    case.change(world, "updated", {"status": "won"}, lost_minor=-amount)
    case.change(world, "funds_reinstated", {}, moved_minor=amount)


def naming_only_the_charge(world: World, customer: Customer) -> Lifecycle:
    """A dispute names the charge and not the PaymentIntent."""
    charge = paid(world, customer).successful_charge
    yield 6 * DAY_S
    case = open_case(world, customer, charge, _REASON)
    case.object = {**case.object, "payment_intent": None}
    _opened(world, case)
    yield 12 * DAY_S
    close(world, case, won=world.dice.chance(0.5))


def warning_naming_only_the_charge(world: World, customer: Customer) -> Lifecycle:
    """A fraud warning names the charge and not the PaymentIntent."""
    charge = paid(world, customer).successful_charge
    yield DAY_S
    warning = objects.fraud_warning(world.dice, world.now, charge)
    warned = booking(charge)._replace(is_fraud_warned=True)
    world.emit(
        customer.merchant,
        "radar.early_fraud_warning.created",
        {**warning, "payment_intent": None},
        booked=warned,
    )
