// The optimizers and their constants, as lists: one text for the host and every device language. Their mathematics is
// in optimizers.h.
#ifndef OPTIMIZER_LIST_H
#define OPTIMIZER_LIST_H

// Every optimizer: its name after BPTT_, its number in bptt_optimizer, its function in optimizers.h, and whether it
// keeps moments m, v (1 or 0 each): where it does not, the operand is absent. The choice stands outside of loops over
// elements, which are written once for each of them: OPTIMIZER_LIST(LOOP).
// clang-format off
#define OPTIMIZER_LIST(X)                 \
    X(SGD, 0, sgd_update, 1, 0)           \
    X(RMSPROP, 1, rmsprop_update, 0, 1)   \
    X(ADAM, 2, adam_update, 1, 1)

// Every hyperparameter of a rule but the clipping: members of bptt_model_config and of struct bptt_rule.
#define HYPERPARAMETER_LIST(X) X(momentum) X(decay) X(beta1) X(beta2) X(epsilon)

// Every constant of a rule: its name, and its value from `rule`, a struct bptt_rule, in double precision. It is rounded
// once to the number type. rest_x is 1 - x.
#define RULE_CONSTANT_LIST(X)             \
    X(momentum, rule->momentum)           \
    X(decay, rule->decay)                 \
    X(rest_decay, 1 - rule->decay)        \
    X(beta1, rule->beta1)                 \
    X(rest_beta1, 1 - rule->beta1)        \
    X(beta2, rule->beta2)                 \
    X(rest_beta2, 1 - rule->beta2)        \
    X(epsilon, rule->epsilon)
// clang-format on

#endif
