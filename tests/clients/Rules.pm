package Rules;
use v5.36;

# What each client does in a registry with rules (RuledPlace.pm). A client's class has for it
#   enter($user)          logs in, with a password as its second argument or else the user's; as run() returns it
#   leave                 logs out
#   give($path, $which)   pushes an image, "image" or "small", to PATH:v1 or PATH:TAG
#   take($path)           pulls it
#   carry($from, $to)     copies it within the registry (optional)
#   drop($path)           deletes it (optional)
#   lists                 what it prints as a list of repositories (optional)
#   held($path)           the repository and tag that the registry knows it by: as it is (helm has others)
# An operation dies with the reason when something went wrong.

use Registry::Tools;

my $SECONDS = 15;    # docker's retries of a push take 40
my $REFUSED = qr/denied|forbidden|unauthorized|no basic auth credentials|password|authorization failed/i;
my $WRONG   = qr/unauthorized|invalid username|wrong user name or password/i;
my $MISLED  = qr/blob[ _]unknown|unknown blob|manifest[ _]unknown|internal|timed? ?out/i;

# Method, title, and what the client has to have for it.
our @OPERATIONS = (
    [ wrong        => 'wrong password',    'enter' ],
    [ group        => 'push by a group',   'give' ],
    [ robot        => 'new tag by robot',  'give' ],
    [ no_move      => '... not moved',     'give' ],
    [ no_push      => 'push refused',      'give' ],
    [ no_pull      => 'pull refused',      'take' ],
    [ stranger     => 'without a login',   'take' ],
    [ public       => 'pull public',       'take' ],
    [ public_too   => '... when logged in', 'take' ],
    [ mount        => 'mount',             'carry' ],
    [ no_mount     => '... refused',       'give' ],
    [ lists        => 'own repositories',    'lists' ],
    [ drop         => 'delete',            'drop' ],
    [ no_drop      => '... refused',       'drop' ],
);

sub path ($client, $first, $last = 'app') { return join '/', $first, $client->name, $client->place->label, $last }

sub as ($client, $user) {
    $client->leave;
    $client->good($client->enter($user)) if defined $user;
    return;
}

sub done ($client, $ran) { return $client->good($ran) }

# Refused at once, in words that don't mislead.
sub refused ($client, $ran, $pattern = $REFUSED) {
    $client->refused($ran, $pattern);
    my $said = $ran->{err} . $ran->{out};
    die "refused with a misleading message: $said\n" if $said =~ $MISLED;
    die sprintf "refused after %.0f s only\n", $ran->{seconds} if $ran->{seconds} > $SECONDS;
    return;
}

sub digest_of ($client, $path) {
    my ($repository, $tag) = $client->held($path);
    my $digest = $client->place->digest_at($repository, $tag);
    $client->place->serves($repository, $tag, $digest);
    return $digest;
}

sub is_absent ($client, $path) {
    my ($repository, $tag) = $client->held($path);
    return $client->place->lacks("$repository/manifests/$tag");
}

# Some clients keep a wrong password without asking, and are refused afterwards.
sub wrong ($client) {
    $client->leave;
    my $ran = $client->enter('ann', 'wrong');
    refused($client, $ran->{exit} ? $ran : $client->take(path($client, 'team', 'none')), $WRONG);
    return;
}

sub group ($client) {
    as($client, 'ann');
    done($client, $client->give(path($client, 'team'), 'image'));
    digest_of($client, path($client, 'team'));
    done($client, $client->take(path($client, 'team')));
    return;
}

sub robot ($client) {
    as($client, 'ci');
    done($client, $client->give(path($client, 'team') . ':new', 'small'));
    digest_of($client, path($client, 'team') . ':new');
    done($client, $client->take(path($client, 'team') . ':new'));
    return;
}

sub no_move ($client) {
    my $before = digest_of($client, path($client, 'team'));
    as($client, 'ci');
    refused($client, $client->give(path($client, 'team'), 'small'));
    die "it was moved\n" if digest_of($client, path($client, 'team')) ne $before;
    return;
}

sub no_push ($client) {
    as($client, 'bob');
    refused($client, $client->give(path($client, 'team') . ':more', 'image'));
    is_absent($client, path($client, 'team') . ':more');
    refused($client, $client->give(path($client, 'ann'), 'image'));
    return is_absent($client, path($client, 'ann'));
}

sub no_pull ($client) {
    as($client, 'bob');
    refused($client, $client->take(path($client, 'team')));
    return refused($client, $client->take(path($client, 'team', 'none')));
}

sub stranger ($client) {
    as($client, undef);
    refused($client, $client->take(path($client, 'team')));
    refused($client, $client->give(path($client, 'public', 'more'), 'image'));
    return is_absent($client, path($client, 'public', 'more'));
}

sub public ($client) {
    as($client, 'ann');
    done($client, $client->give(path($client, 'public'), 'small'));
    as($client, undef);
    return done($client, $client->take(path($client, 'public')));
}

sub public_too ($client) {
    as($client, 'bob');
    done($client, $client->take(path($client, 'public')));
    return refused($client, $client->give(path($client, 'public'), 'image'));
}

sub mount ($client) {
    as($client, 'ann');
    my $digest = digest_of($client, path($client, 'team'));
    done($client, $client->carry(path($client, 'team'), path($client, 'ann', 'copy')));
    my ($repository, $tag) = $client->held(path($client, 'ann', 'copy'));
    return $client->place->mounted($repository, $client->place->serves($repository, $tag, $client->place->digest_at($repository, $tag)));
}

# Who may not read the source gets nothing of it. A client that has the layers sends them: it remembers where else they are,
# and isn't led astray by that.
sub no_mount ($client) {
    as($client, 'bob');
    if ($client->can('carry')) {
        refused($client, $client->carry(path($client, 'team'), path($client, 'bob', 'stolen')));
        is_absent($client, path($client, 'bob', 'stolen'));
    }
    done($client, $client->give(path($client, 'bob'), 'image'));
    digest_of($client, path($client, 'bob'));
    return done($client, $client->take(path($client, 'bob')));
}

sub lists ($client) {
    as($client, 'bob');
    my $out = done($client, $client->lists);
    die "bob sees too much: $out\n"  if $out =~ m{\b(?:team|ann)/};
    die "bob sees too little: $out\n" if index($out, path($client, 'public')) < 0;
    as($client, 'ann');
    $out = done($client, $client->lists);
    die "ann sees too little: $out\n" if grep { index($out, path($client, $_)) < 0 } 'public', 'team';
    return;
}

sub drop ($client) {
    as($client, 'ann');
    done($client, $client->drop(path($client, 'team') . ':new'));
    return is_absent($client, path($client, 'team') . ':new');
}

sub no_drop ($client) {
    for my $user ('bob', 'ci') {
        as($client, $user);
        refused($client, $client->drop(path($client, 'team')));
    }
    digest_of($client, path($client, 'team'));
    return;
}

1;
