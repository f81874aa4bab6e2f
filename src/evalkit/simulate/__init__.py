from evalkit.simulate.economy import World as World
from evalkit.simulate.parameters import Parameters as Parameters
from evalkit.simulate.economy import draw_world
def world(seed, firms=4000, **params):
    return draw_world(seed, Parameters.of(firms, params))
