"""The family on one data set: every net's recipe for pictures of 32×32, as for CIFAR-10."""

from vigil.training.classify.recipe import Augmentation, ClassifierRecipe

INPUT_PX = 32
# Shifts and mirroring as in arXiv:1512.03385, section 4.2, and random erasing (arXiv:1708.04896): colours tell
# these classes apart, and stay as they are.
_VARIED = Augmentation(colour_chance=0.0)
_LITTLE = Augmentation(colour_chance=0.0, erase_chance=0.0)  # where few epochs are the limit

# The learning rates are the highest of 0.01, 0.02, 0.05, 0.1 that are usual for such a net; the epochs are what
# some ten minutes of one core are enough for.
RECIPES = {
    recipe.architecture: recipe
    for recipe in (
        ClassifierRecipe(
            architecture="lenet5",
            input_px=INPUT_PX,
            epochs=30,
            learning_rate=0.02,
            weight_decay=1e-4,
            initialisation="xavier",
            ema_decay=0.995,
            augmentation=_LITTLE,
        ),
        ClassifierRecipe(
            architecture="alexnet",
            input_px=INPUT_PX,
            epochs=6,
            learning_rate=0.01,
            ema_decay=0.99,
            augmentation=_LITTLE,
        ),
        ClassifierRecipe(
            architecture="vgg11",
            input_px=INPUT_PX,
            epochs=8,
            label_smoothing=0.1,
            ema_decay=0.99,
            augmentation=_LITTLE,
        ),
        ClassifierRecipe(
            architecture="googlenet",
            input_px=INPUT_PX,
            epochs=5,
            label_smoothing=0.1,
            ema_decay=0.99,
            augmentation=_LITTLE,
        ),
        ClassifierRecipe(
            architecture="resnet9",
            input_px=INPUT_PX,
            epochs=16,
            learning_rate=0.1,
            warmup_epochs=3.0,
            label_smoothing=0.1,
            ema_decay=0.995,
            augmentation=_VARIED,
        ),
    )
}
