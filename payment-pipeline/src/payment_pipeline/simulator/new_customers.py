"""New customers that are announced to the merchant, with a card on file."""

from .actors import Customer, Merchant, new_card, new_customer
from .payment_objects import payment_method
from .world import World


def sign_up(world: World, merchant: Merchant, customer_id: str | None = None) -> Customer:
    """Create and announce a new customer with a card on file.

    Args:
        world: the simulated world.
        merchant: the customer's merchant.
        customer_id: an id that the merchant chose; `None` for one of Stripe's ids.
    """
    customer = new_customer(world.dice, merchant, new_card(world.dice, merchant.country), world.now)
    if customer_id is not None:
        customer.object = {**customer.object, "id": customer_id}
    world.customers.append(customer)
    introduce(world, customer)
    return customer


def introduce(world: World, customer: Customer) -> None:
    """Emit the creation of a customer and of the card on file."""
    world.emit(customer.merchant, "customer.created", customer.object)
    world.emit(customer.merchant, "payment_method.attached", payment_method(customer, world.now))
