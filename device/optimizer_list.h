// Lists of the optimizers and their constants: one text for the host and every device language. Their mathematics is in
// optimizers.h.
#ifndef OPTIMIZER_LIST_H
#define OPTIMIZER_LIST_H

// The optimizers: name after BPTT_, number in bptt_optimizer, function in optimizers.h, and 1 or 0 for each of the
// moments m, v: 1 if the optimizer keeps it, 0 if the operand is absent. To keep the choice outside a loop over
// elements, define LOOP with the loop in it and write OPTIMIZER_LIST(LOOP).
// clang-format off
#define OPTIMIZER_LIST(X)                 \
    X(SGD, 0, sgd_update, 1, 0)           \
    X(RMSPROP, 1, rmsprop_update, 0, 1)   \
    X(ADAM, 2, adam_update, 1, 1)

// Every hyperparameter of a rule but the clipping: members of bptt_model_config and of struct bptt_rule.
#define HYPERPARAMETER_LIST(X) X(momentum) X(decay) X(beta1) X(beta2) X(epsilon)

// The constants of the optimizers: name, and value in double precision from `rule`, a struct bptt_rule. The value is
// rounded once to the number type. rest_x is 1 - x.
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
