package Registry::Browser;
use v5.36;

# A real Chromium, by its driver (W3C WebDriver).
#
#   my $browser = Registry::Browser->start;
#   $browser->go('http://127.0.0.1:8000/ui/');
#   ok($browser->sees('h1', 'Repositories'), 'a heading');
#   is_deeply([ $browser->complaints ], [], 'the console is empty');
#
# complaints() are errors in the console and violations of the content security policy. Answers with
# an error status are none, since pages ask for things that are not there.

use HTTP::Tiny   ();
use JSON::PP     ();
use MIME::Base64 qw(decode_base64);
use POSIX        ();
use Registry::Tools;

my $ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';
my %KEY = (Enter => "\x{E007}", Tab => "\x{E004}", Escape => "\x{E00C}", Down => "\x{E015}", Up => "\x{E013}", Right => "\x{E014}",
    Left => "\x{E012}", End => "\x{E010}", Space => "\x{E00D}");

my @started;
my $main = $$;

# Options: width (1280), height (900), dark (the system's theme).
sub start ($class, %o) {
    my $dir  = tempdir();
    my $self = bless { dir => $dir, owner => $$, complaints => [] }, $class;
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        POSIX::setpgid(0, 0);
        open STDIN,  '<', '/dev/null'   or POSIX::_exit(126);
        open STDOUT, '>', "$dir/driver" or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT     or POSIX::_exit(126);
        ($ENV{HOME}, $ENV{TMPDIR}) = ($dir, $dir);
        { no warnings 'exec'; exec find_program('chromedriver'), '--port=0' }
        POSIX::_exit(127);
    }
    push @started, $self;
    my $port = wait_for(20, sub { slurp("$dir/driver") =~ /started successfully on port (\d+)/ ? $1 : 0 })
        or die 'chromedriver does not start: ' . slurp("$dir/driver");
    $self->{http} = HTTP::Tiny->new(timeout => 60, keep_alive => 1);
    $self->{url}  = "http://127.0.0.1:$port/session";
    my $session = $self->_ask('POST', '', {
        capabilities => {
            alwaysMatch => {
                browserName           => 'chrome',
                acceptInsecureCerts   => JSON::PP::true,
                'goog:loggingPrefs'   => { browser => 'ALL' },
                'goog:chromeOptions'  => {
                    binary => find_program('chromium'),
                    args   => [ '--headless=new', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking',
                        '--disable-component-update', '--force-color-profile=srgb', "--user-data-dir=$dir/profile", is_root() ? '--no-sandbox' : () ],
                    prefs => { 'download.default_directory' => "$dir/downloads" },
                },
            },
        },
    });
    $self->{url} .= "/$session->{sessionId}";
    $self->size($o{width} // 1280, $o{height} // 900);
    $self->dark($o{dark} ? 1 : 0);
    return $self;
}

sub _ask ($self, $method, $path, $body = undef) {
    my $json     = JSON::PP->new->utf8->allow_nonref;
    my $response = $self->{http}->request($method, "$self->{url}$path",
        defined $body ? { content => $json->encode($body), headers => { 'Content-Type' => 'application/json' } } : {});
    my $answer = eval { $json->decode($response->{content}) } // {};
    my $value  = $answer->{value};
    die "browser: $value->{error}: " . ($value->{message} =~ s/\n.*//sr) . "\n" if ref $value eq 'HASH' && exists $value->{error};
    die "browser: $response->{status} $response->{content}\n" if !$response->{success};
    return $value;
}

sub _devtools ($self, $command, %params) {
    return $self->_ask('POST', '/goog/cdp/execute', { cmd => $command, params => \%params });
}

# ---- what it looks like ----

sub size ($self, $width, $height) {
    $self->_devtools('Emulation.setDeviceMetricsOverride', width => $width, height => $height, deviceScaleFactor => 1, mobile => $width < 600 ? JSON::PP::true : JSON::PP::false);
    return;
}

sub dark ($self, $dark) {
    $self->_devtools('Emulation.setEmulatedMedia', features => [ { name => 'prefers-color-scheme', value => $dark ? 'dark' : 'light' },
        { name => 'prefers-reduced-motion', value => 'reduce' } ]);
    return;
}

# Writes a picture of the window to a file.
sub picture ($self, $file) {
    spew($file, decode_base64($self->_ask('GET', '/screenshot')));
    return;
}

# ---- what it does ----

sub go ($self, $url) { $self->_ask('POST', '/url', { url => $url }); return }
sub url ($self)      { return $self->_ask('GET', '/url') }
sub title ($self)    { return $self->_ask('GET', '/title') }
sub back ($self)     { $self->_ask('POST', '/back', {}); return }
sub forward ($self)  { $self->_ask('POST', '/forward', {}); return }
sub reload ($self)   { $self->_ask('POST', '/refresh', {}); return }

# Another tab, or window number n (0 is the first one), which is the current one from then on.
sub open_tab ($self) { $self->_ask('POST', '/window', { handle => $self->_ask('POST', '/window/new', { type => 'tab' })->{handle} }); return }
sub to_tab ($self, $n) { $self->_ask('POST', '/window', { handle => $self->_ask('GET', '/window/handles')->[$n] }); return }

# Runs the body of a function in the page. A promise is waited for.
sub js ($self, $script, @args) { return $self->_ask('POST', '/execute/sync', { script => $script, args => \@args }) }

# The first element of a selector, also of one whose text has this in it; undef if there is none.
sub find ($self, $selector, $text = undef) {
    return $self->js(<<~'END', $selector, $text);
        const seen = (e) => e.checkVisibility();
        return [...document.querySelectorAll(arguments[0])].find((e) => seen(e) && (arguments[1] === null || e.textContent.includes(arguments[1]))) ?? null;
        END
}

sub sees ($self, $selector, $text = undef, $limit = 15) {
    return wait_for($limit, sub { eval { $self->find($selector, $text) } });
}

sub sees_not ($self, $selector, $text = undef, $limit = 15) {
    return wait_for($limit, sub { !$self->find($selector, $text) });
}

sub _element ($self, $selector, $text) {
    my $element = $self->sees($selector, $text) // die "the page has no $selector" . (defined $text ? " with '$text'" : '') . "\n" . $self->text('body') . "\n";
    return "/element/$element->{$ELEMENT}";
}

# A row may be drawn anew in the moment of the click.
sub click ($self, $selector, $text = undef) {
    my $why;
    wait_for(15, sub { eval { $self->_ask('POST', $self->_element($selector, $text) . '/click', {}); 1 } || ($why = $@, 0) }) or die $why;
    return;
}

# Types into a field, whose former content goes; names of keys in braces: {Enter}.
sub type ($self, $selector, $text) {
    my $element = $self->_element($selector, undef);
    $self->_ask('POST', "$element/clear", {});
    $self->_ask('POST', "$element/value", { text => $text =~ s/\{(\w+)\}/$KEY{$1}/gr });
    return;
}

# Presses keys where the focus is.
sub press ($self, @keys) {
    my @actions = map { my $key = $KEY{$_} // $_; ({ type => 'keyDown', value => $key }, { type => 'keyUp', value => $key }) } @keys;
    $self->_ask('POST', '/actions', { actions => [ { type => 'key', id => 'keys', actions => \@actions } ] });
    return;
}

# The visible text of the first such element, '' if there is none.
sub text ($self, $selector, $inside = undef) {
    my $element = $self->find($selector, $inside) // return '';
    return $self->js('return arguments[0].innerText', $element);
}

# The texts of all of them.
sub texts ($self, $selector) {
    return @{ $self->js('return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)', $selector) };
}

# A file that the page has handed over.
sub downloaded ($self, $name) {
    my $file = "$self->{dir}/downloads/$name";
    return wait_for(15, sub { -e $file }) ? slurp($file) : undef;
}

# ---- what it says ----

sub complaints ($self) {
    my @new = map { "$_->{level} $_->{message}" } grep { $_->{level} =~ /SEVERE|WARNING/ && ($_->{source} // '') ne 'network' }
        @{ $self->_ask('POST', '/se/log', { type => 'browser' }) };
    push @{ $self->{complaints} }, @new;
    return @{ $self->{complaints} };
}

sub stop ($self) {
    @started = grep { $_ != $self } @started;
    eval { $self->_ask('DELETE', '') };
    kill 'TERM', -$self->{pid};
    wait_for(10, sub { waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid} }) or kill 'KILL', -$self->{pid};
    return;
}

END {
    if ($$ == $main) {
        my $status = $?;
        $_->stop for grep { $_->{owner} == $$ } @started;
        $? = $status;
    }
}

1;
